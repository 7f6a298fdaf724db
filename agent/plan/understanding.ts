import type { Snapshot } from '#contract/snapshot.ts';
import { type Coherence, coherence } from '#policies/desired/coherence.ts';
import { readPolicy } from '#policies/desired/world.ts';
import type { Checked } from '#policies/language/check.ts';

/** Reading the same again gives the same, so it is read once: a document while it is in force, a snapshot while it lives. */
const understood = new WeakMap<Snapshot, Coherence>();
let lastRead: { document: string; checked: Checked } | undefined;

/** What a snapshot means, or why it cannot be put in force. Who joins or leaves costs no reading of the document. */
export function understand(snapshot: Snapshot): Coherence {
  const known = understood.get(snapshot);
  if (known !== undefined) return known;
  const { document } = snapshot.policy;
  if (lastRead?.document !== document) lastRead = { document, checked: readPolicy(snapshot) };
  const found = coherence(snapshot, lastRead.checked);
  understood.set(snapshot, found);
  return found;
}
