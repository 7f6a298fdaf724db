import type { CachedBundle } from '#contract/agent.ts';
import { compareVersions, type Snapshot } from '#contract/snapshot.ts';
import type { TrustList } from '#contract/trust.ts';
import { signerOf, TrustError } from '../formats/signed.ts';
import { type Cache, SnapshotRefused, versionText } from './cache.ts';
import type { Master } from './master.ts';

export type Follow = {
  master: Master;
  cache: Cache;
  now: () => Date;
  /** The master can be reached, for the first time or again. */
  onOpen: () => void;
  /** It cannot be reached any more. */
  onClosed: () => void;
  /** The list of keys, verified, as it was signed. */
  onTrust: (version: number, jws: string) => void;
  /** A verified snapshot, newer than or the same as the one before. */
  onSnapshot: (snapshot: Snapshot) => void;
  onBundles: (bundles: readonly CachedBundle[]) => void;
  /** Why the newest snapshot is not taken, or that the master cannot be reached; undefined when all is well again. */
  onProblem: (problem: string | undefined) => void;
  log: (line: string) => void;
  isStopped: () => boolean;
  /** Where the master is, asked before each attempt to reach it. */
  address: () => Promise<string>;
};

/** With the jitter, at most 3 s: a master that is back has all its nodes within 5 s. */
const retryMs = { first: 500, most: 2_000 };

/**
 * Keeps up with the master: listens for notices, fetches what is newer, and looks by itself every 15 to 30 s in case a
 * notice was lost. While the master cannot be reached, whatever is in force stays.
 */
export async function followMaster(follow: Follow, cached: Snapshot | undefined, bundles: readonly CachedBundle[]) {
  const state: State = {
    snapshot: cached,
    etag: undefined,
    bundlesOf: undefined,
    bundlesTrust: undefined,
    isRefusing: false,
    bundles: new Map(bundles.map((bundle) => [bundle.publicKey, bundle])),
  };
  let delay = retryMs.first;
  let lastReason: string | undefined;
  while (!follow.isStopped()) {
    try {
      await followOnce(follow, state, () => {
        delay = retryMs.first;
        lastReason = undefined;
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== lastReason) follow.log(reason);
      lastReason = reason;
      if (isRefusal(error)) follow.onProblem(reason);
    }
    follow.onClosed();
    await Bun.sleep(delay * (0.5 + Math.random()));
    delay = Math.min(delay * 2, retryMs.most);
  }
}

type State = {
  snapshot: Snapshot | undefined;
  /** Of the snapshot, as the master gave it; it changes with the key that signs, too. */
  etag: string | undefined;
  /** The version whose bundles were fetched; behind the snapshot's after a failure in between. */
  bundlesOf: string | undefined;
  /** The version of the list of keys that the bundles were last held against. */
  bundlesTrust: number | undefined;
  bundles: Map<string, CachedBundle>;
  /** The newest snapshot was refused. Any notice may mean that there is a better one. */
  isRefusing: boolean;
};

function isRefusal(error: unknown): error is TrustError | SnapshotRefused {
  return error instanceof TrustError || error instanceof SnapshotRefused;
}

/** One life of the channel: ends, by throwing or returning, when the connection does. */
async function followOnce(follow: Follow, state: State, onOpen: () => void): Promise<void> {
  const { master, cache } = follow;
  master.moveTo(await follow.address());
  const keep = async (text: string) => {
    const list = await cache.keepTrust(text);
    follow.onTrust(list.version, text);
    return list;
  };
  let trust: TrustList = await master.fetchTrust(keep);
  let wake = Promise.withResolvers<void>();
  const channel = await master.openChannel((notice) => {
    const isKnown = state.snapshot !== undefined && compareVersions(notice, state.snapshot) === 0;
    if (!isKnown || state.isRefusing) wake.resolve();
  });
  onOpen();
  follow.onOpen();
  follow.log('the channel to the master is open');
  let ended: string | undefined;
  channel.closed.then((reason) => {
    ended = reason;
    master.hangUp();
    wake.resolve();
  });
  try {
    while (ended === undefined && !follow.isStopped()) {
      try {
        forgetBundlesSignedBefore(state, trust);
        await fetchNewer(follow, state, trust);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        state.isRefusing = true;
        follow.log(error.message);
        follow.onProblem(error.message);
        // The snapshot may be signed by a key that is newer than the list we have.
        const known = trust.version;
        trust = await master.fetchTrust(keep);
        if (trust.version > known) continue;
      }
      const timer = setTimeout(() => wake.resolve(), 15_000 + Math.random() * 15_000);
      await wake.promise;
      clearTimeout(timer);
      wake = Promise.withResolvers();
    }
  } finally {
    channel.close();
  }
  if (ended !== undefined) follow.log(`the channel to the master ended: ${ended}`);
}

async function fetchNewer(follow: Follow, state: State, trust: TrustList): Promise<void> {
  const { master, cache, now } = follow;
  const { snapshot: held } = state;
  const answer = await master.fetchSnapshot(
    state.etag,
    held && { version: { epoch: held.epoch, revision: held.revision }, text: () => cache.snapshotText() },
  );
  if (answer !== undefined) {
    const snapshot = await cache.keepSnapshot(answer.text, trust, now());
    state.etag = answer.etag;
    // Revisions of another epoch say nothing about this one's.
    if (snapshot.epoch !== held?.epoch) {
      state.bundles.clear();
      follow.onBundles([]);
    }
    state.snapshot = snapshot;
    follow.onSnapshot(snapshot);
  }
  state.isRefusing = false;
  follow.onProblem(undefined);
  const { snapshot } = state;
  if (snapshot === undefined || state.bundlesOf === versionText(snapshot)) return;
  await refreshBundles(follow, state, snapshot);
  state.bundlesOf = versionText(snapshot);
}

/** After a renewal of keys all bundles are signed anew; those signed before are good for a short time only. */
function forgetBundlesSignedBefore(state: State, { version, keys }: TrustList): void {
  if (state.bundlesTrust === version) return;
  state.bundlesTrust = version;
  const current = keys.find(({ use }) => use === 'bundles')?.kid;
  for (const [device, { bundle }] of state.bundles) {
    if (signerOf(bundle) === current) continue;
    state.bundles.delete(device);
    state.bundlesOf = undefined;
  }
}

/** After the snapshot is on its way, never before: nobody waits for bundles to be let in or thrown out. */
async function refreshBundles(follow: Follow, state: State, snapshot: Snapshot): Promise<void> {
  const after = Math.max(0, ...[...state.bundles.values()].map((bundle) => bundle.revision));
  const known = new Set(snapshot.devices.map((device) => device.publicKey));
  const isComplete = [...known].every((key) => state.bundles.has(key));
  for (const bundle of await follow.master.fetchBundles(isComplete ? after : 0))
    state.bundles.set(bundle.publicKey, bundle);
  for (const key of state.bundles.keys()) if (!known.has(key)) state.bundles.delete(key);
  const bundles = [...state.bundles.values()];
  await follow.cache.keepBundles(bundles);
  follow.onBundles(bundles);
}
