import * as v from 'valibot';
import { CachedBundle } from '#contract/agent.ts';
import { Count } from '#contract/name.ts';
import { compareVersions, type Snapshot, type Version } from '#contract/snapshot.ts';
import type { TrustList } from '#contract/trust.ts';
import { TrustError, verifySnapshot, verifyTrust } from '../formats/signed.ts';
import { understand } from '../plan/understanding.ts';
import type { AgentPaths } from './config.ts';
import { readFileIfPresent, writeFileAtomically, writeFilesInOrder } from './files.ts';

/** The newest this node has ever put in force. Nothing older is taken, whoever signed it. */
const HighWater = v.object({ epoch: Count, revision: Count, trustVersion: Count });
export type HighWater = v.InferOutput<typeof HighWater>;

/** A snapshot is signed as it should be and still cannot be put in force. The one before it stays. */
export class SnapshotRefused extends Error {
  override readonly name = 'SnapshotRefused';
  readonly code = 'snapshot-refused';

  constructor(snapshot: Version, reasons: readonly string[]) {
    const shown = reasons.slice(0, 3).join('; ');
    super(
      `the snapshot ${versionText(snapshot)} cannot be put in force: ${shown}${reasons.length > 3 ? '; and more' : ''}`,
    );
  }
}

export type Cached = {
  trust: TrustList | undefined;
  /** The same as it was signed. */
  trustJws: string | undefined;
  snapshot: Snapshot | undefined;
  bundles: readonly CachedBundle[];
  /** Why there is no snapshot, for people; absent when there is one. */
  closedBecause?: string;
};

export interface Cache {
  load(): Promise<Cached>;
  /** @throws TrustError for an older list than the one known. */
  keepTrust(text: string): Promise<TrustList>;
  /**
   * Verifies, refuses older ones, and keeps it. When this returns it will be found after a crash.
   *
   * @throws TrustError, SnapshotRefused
   */
  keepSnapshot(text: string, trust: TrustList, now: Date): Promise<Snapshot>;
  keepBundles(bundles: readonly CachedBundle[]): Promise<void>;
  /** The snapshot that was kept last, as it was signed. */
  snapshotText(): Promise<string | undefined>;
}

export function openCache(paths: AgentPaths, root: string): Cache {
  let highWater: HighWater | undefined;

  const readHighWater = async (): Promise<HighWater> => {
    if (highWater !== undefined) return highWater;
    const text = await readFileIfPresent(paths.highWater);
    highWater = text === undefined ? { epoch: 0, revision: 0, trustVersion: 0 } : v.parse(HighWater, JSON.parse(text));
    return highWater;
  };
  const raise = async (to: Partial<HighWater>) => {
    const current = await readHighWater();
    const next = { ...current, ...to };
    if (JSON.stringify(next) === JSON.stringify(current)) return;
    await writeFileAtomically(paths.highWater, `${JSON.stringify(next)}\n`);
    highWater = next;
  };
  const refuseOlder = (snapshot: Version, known: Version) => {
    if (compareVersions(snapshot, known) < 0)
      throw new TrustError(
        `the snapshot ${versionText(snapshot)} is older than ${versionText(known)}, which this node has already seen`,
      );
  };

  return {
    async load() {
      let trust: TrustList | undefined;
      let trustText: string | undefined;
      try {
        trustText = await readFileIfPresent(paths.trust);
        const snapshotText = await readFileIfPresent(paths.snapshot);
        if (trustText !== undefined) trust = await verifyTrust(trustText, root);
        const known = await readHighWater();
        if (snapshotText === undefined || trust === undefined)
          return {
            trust,
            trustJws: trustText,
            snapshot: undefined,
            bundles: [],
            closedBecause: 'no snapshot was fetched yet',
          };
        const snapshot = await verifySnapshot(snapshotText, trust);
        refuseOlder(snapshot, known);
        refuseContradictions(snapshot);
        await raise({ epoch: snapshot.epoch, revision: snapshot.revision });
        return { trust, trustJws: trustText, snapshot, bundles: await readBundles(paths.bundles) };
      } catch (error) {
        highWater ??= await recoveredHighWater(paths, trust);
        const reason = error instanceof Error ? error.message : String(error);
        return {
          trust,
          trustJws: trustText,
          snapshot: undefined,
          bundles: [],
          closedBecause: `the cache cannot be used: ${reason}`,
        };
      }
    },

    async keepTrust(text) {
      const trust = await verifyTrust(text, root);
      const { trustVersion } = await readHighWater();
      if (trust.version < trustVersion)
        throw new TrustError(`the list of keys ${trust.version} is older than ${trustVersion}, which is known here`);
      if ((await readFileIfPresent(paths.trust)) !== text) await writeFileAtomically(paths.trust, text);
      await raise({ trustVersion: trust.version });
      return trust;
    },

    async keepSnapshot(text, trust, now) {
      const snapshot = await verifySnapshot(text, trust, now);
      refuseOlder(snapshot, await readHighWater());
      refuseContradictions(snapshot);
      const { epoch, revision } = snapshot;
      const known = await readHighWater();
      const raised = { ...known, epoch, revision };
      // Revisions of another epoch say nothing about this one's: they must not be found beside its snapshot.
      if (epoch !== known.epoch) await writeFileAtomically(paths.bundles, '[]');
      // The snapshot first: a high-water mark above the only one here would close the node.
      await writeFilesInOrder([
        { path: paths.snapshot, text },
        { path: paths.highWater, text: `${JSON.stringify(raised)}\n` },
      ]);
      highWater = raised;
      return snapshot;
    },

    snapshotText: () => readFileIfPresent(paths.snapshot),

    async keepBundles(bundles) {
      await writeFileAtomically(paths.bundles, JSON.stringify(bundles));
    },
  };
}

export function versionText({ epoch, revision }: Version): string {
  return `${epoch}-${revision}`;
}

function refuseContradictions(snapshot: Snapshot): void {
  const meaning = understand(snapshot);
  if (!meaning.ok) throw new SnapshotRefused(snapshot, meaning.reasons);
}

/** In the place of a damaged mark: what the cached snapshot proves. Closed until the master is heard all the same. */
async function recoveredHighWater(paths: AgentPaths, trust: TrustList | undefined): Promise<HighWater> {
  const none = { epoch: 0, revision: 0, trustVersion: trust?.version ?? 0 };
  const text = await readFileIfPresent(paths.snapshot);
  if (text === undefined || trust === undefined) return none;
  try {
    const { epoch, revision } = await verifySnapshot(text, trust);
    return { ...none, epoch, revision };
  } catch {
    return none;
  }
}

/** Bundles are signed for the devices, which check them; a damaged cache only means fetching them again. */
async function readBundles(path: string): Promise<readonly CachedBundle[]> {
  try {
    return v.parse(v.array(CachedBundle), JSON.parse((await readFileIfPresent(path)) ?? '[]'));
  } catch {
    return [];
  }
}
