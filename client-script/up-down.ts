import type { Bundle } from '#contract/bundle.ts';
import { connectTo, type Proof, raiseLink, requireAbilities } from './connect.ts';
import type { Doing } from './join.ts';
import { mustBeJoined } from './membership.ts';
import { ProcessFile } from './process-file.ts';
import { interfaceName } from './tunnel.ts';

/** Brings the tunnel up, or makes sure that it is; flows that run through it are not disturbed. */
export async function up(doing: Doing): Promise<{ bundle: Bundle; proof: Proof }> {
  const { platform, files, progress, now } = doing;
  await requireAbilities(platform);
  const { bundle, membership } = await mustBeJoined(files);
  const known = bundle.nodes.map(({ name }) => name).filter((name) => membership.reached.includes(name));
  const names = known.length > 0 ? known : bundle.nodes.map(({ name }) => name);
  const before = await files.active();
  // Two hands on one interface would undo each other's steps.
  await new ProcessFile(files, platform).stop();
  await progress.step(`Bringing up ${interfaceName}`, () => raiseLink(platform, files, bundle));
  try {
    const proof = await progress.step(
      'Connecting',
      () => connectTo(platform, bundle, new Set(names), before && { before: before.node }),
      ({ node }) => `${node} answered`,
    );
    if (before?.node !== proof.node) await files.saveActive({ node: proof.node, since: new Date(now()).toISOString() });
    return { bundle, proof };
  } finally {
    await doing.startWatcher();
  }
}

/** Takes the tunnel away, and the watcher that would bring it back. Keys and membership stay. */
export async function down({
  platform,
  files,
  progress,
}: Pick<Doing, 'platform' | 'files' | 'progress'>): Promise<void> {
  await requireAbilities(platform);
  await progress.step('Stopping the watcher', () => new ProcessFile(files, platform).stop());
  await progress.step(`Removing ${interfaceName}`, () => platform.lower(interfaceName));
}
