import type { Front } from '#contract/policy.ts';
import type { Outline } from '#policies/desired/outline.ts';
import { audit } from './audit.ts';
import { refreshBundles, renewBundles } from './bundles.ts';
import { allFronts, isFreeForFront, setFronts } from './fronts.ts';
import type { Store } from './open.ts';
import { insertDocument, outlineInForce, policyInForce, rememberOutline, textOfLines } from './policies.ts';
import { currentVersion, grantedAt, raiseRevision, setGrantedAt } from './settings.ts';
import { premiseOf, type SeenDevice, seenDevices } from './surroundings.ts';

/** A document that was found to be right in the surroundings that `premise` stands for, and what follows from it. */
export type Prepared = {
  readonly document: string;
  readonly outline: Outline;
  readonly fronts: readonly Front[];
  /** The devices, of those that were seen, whose bundles change. */
  readonly bundles: readonly string[];
  readonly seen: readonly SeenDevice[];
  readonly premise: string;
  readonly at: Date;
};

/** While a document was being judged, something changed that the judgement depends on. Judge it again. */
export class Outdated extends Error {
  override readonly name = 'Outdated';
  readonly code = 'outdated';
}

/** What is written down of a change beside the document. */
export type ChangedBy = {
  readonly actor: string;
  readonly note: string | null;
  readonly act: string;
  readonly subject?: string;
  readonly detail?: Record<string, unknown>;
};

/**
 * Puts a document in force: fronts, bundles, revision, history and audit in one transaction. The same text again is no
 * change. @returns the revisions of the policy and of the snapshot
 * @throws Outdated
 */
export function putInForce(
  store: Store,
  prepared: Prepared,
  by: ChangedBy,
  now: Date,
): { policy: number; snapshot: number } {
  return store.write(() => {
    const before = policyInForce(store);
    if (prepared.document === before.document)
      return { policy: before.revision, snapshot: currentVersion(store).revision };
    const { document, outline, fronts } = prepared;
    if (premiseOf(store, outline.people) !== prepared.premise) throw new Outdated();
    const present = new Set(allFronts(store).map(({ address }) => address));
    if (fronts.some(({ address }) => !present.has(address) && !isFreeForFront(store, address))) throw new Outdated();

    const { revision } = raiseRevision(store, now);
    setFronts(store, fronts, revision);
    const policy = insertDocument(
      store,
      { revision: before.revision + 1, document, actor: by.actor, note: by.note },
      now,
    );
    rememberOutline(store, policy, outline);
    setGrantedAt(store, prepared.at);
    writeBundles(store, prepared, revision, now);
    audit(store, now, {
      actor: by.actor,
      act: by.act,
      subject: by.subject ?? `policy ${policy.revision}`,
      detail: { policy: policy.revision, ...(by.note === null ? {} : { note: by.note }), ...by.detail },
    });
    return { policy: policy.revision, snapshot: revision };
  });
}

/** A row of the audit log is read by people. */
const mostAuditedLines = 50;

/**
 * Takes the grants that have ended since it was last looked out of the bundles. Nodes close them by themselves.
 * @returns whether there were any
 */
export function endGrants(store: Store, now: Date): boolean {
  if (endedGrants(store, now).length === 0) return false;
  return store.write(() => {
    const ended = endedGrants(store, now);
    const { revision } = raiseRevision(store, now);
    setGrantedAt(store, now);
    refreshBundles(store, 'all', revision, now);
    const lines = textOfLines(store, ended.slice(0, mostAuditedLines));
    const subject = `policy ${policyInForce(store).revision}`;
    audit(store, now, { actor: 'postern', act: 'policy.run-out', subject, detail: { count: ended.length, lines } });
    return true;
  });
}

function endedGrants(store: Store, now: Date): number[] {
  const since = Date.parse(grantedAt(store));
  const { ends } = outlineInForce(store);
  const ended = ends.filter(({ at }) => at > since && at <= now.getTime());
  return [...new Set(ended.map(({ line }) => line))].sort((a, b) => a - b);
}

/** Devices that came, or changed, since they were looked at are not in what was prepared. */
function writeBundles(store: Store, { bundles, seen }: Prepared, revision: number, now: Date): void {
  const key = ({ email, role, publicKey, address, name }: SeenDevice) =>
    [email, role, publicKey, address, name].join(' ');
  const known = new Map(seen.map((device) => [device.id, key(device)]));
  const changed = new Set(bundles);
  const present = seenDevices(store).map((device) => ({ device, isKnown: known.get(device.id) === key(device) }));
  const renewed = present.flatMap(({ device, isKnown }) => (isKnown && changed.has(device.id) ? [device] : []));
  renewBundles(store, renewed, revision, now);
  for (const { device, isKnown } of present)
    if (!isKnown) refreshBundles(store, { deviceId: device.id }, revision, now);
}
