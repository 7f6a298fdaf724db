import { compareVersions, type Version } from '#contract/snapshot.ts';
import { signBundle, signSnapshot } from '../keys/signed.ts';
import type { SigningKeys } from '../keys/working-keys.ts';
import { bundleOf, bundlesSince, type DatedBundle } from '../store/bundles.ts';
import type { Store } from '../store/open.ts';
import { currentVersion, readSettings } from '../store/settings.ts';
import { readSnapshot } from '../store/snapshot.ts';

export type Published = ReturnType<typeof publishedOf>;

/** The signed snapshot and bundles, each signed once while it and its key are current. */
export function publishedOf(store: Store, keys: Pick<SigningKeys, 'snapshots' | 'bundles'>) {
  let snapshot: { version: Version; kid: string; jws: Promise<string> } | undefined;
  const bundles = new Map<string, { revision: number; epoch: number; kid: string; jws: Promise<string> }>();

  const signed = (bundle: DatedBundle, epoch: number): Promise<string> => {
    const known = bundles.get(bundle.deviceId);
    const { kid } = keys.bundles;
    if (known?.revision === bundle.revision && known.epoch === epoch && known.kid === kid) return known.jws;
    const { revision, issuedAt, content } = bundle;
    const { publicUrl: master } = readSettings(store);
    const jws = signBundle({ epoch, revision, issuedAt, ...content, master }, keys.bundles);
    bundles.set(bundle.deviceId, { revision, epoch, kid, jws });
    return jws;
  };

  return {
    /** `tag` is another with each version and with each key: who asks by it gets what a newer key signed. */
    async snapshot(): Promise<{ tag: string; jws: string }> {
      const version = currentVersion(store);
      const { kid } = keys.snapshots;
      if (snapshot === undefined || compareVersions(snapshot.version, version) !== 0 || snapshot.kid !== kid)
        snapshot = { version, kid, jws: signSnapshot(readSnapshot(store), keys.snapshots) };
      const { jws } = snapshot;
      return { tag: `${version.epoch}-${version.revision}-${kid.slice(0, 8)}`, jws: await jws };
    },
    /** A device's newest bundle, reserved devices included. */
    async bundleOf(deviceId: string): Promise<string | undefined> {
      const bundle = bundleOf(store, deviceId);
      return bundle === undefined ? undefined : signed(bundle, currentVersion(store).epoch);
    },
    /** What a node lacks that has all bundles of the snapshot `after`. */
    async bundlesSince(after: number): Promise<{ publicKey: string; revision: number; bundle: string }[]> {
      const { epoch } = currentVersion(store);
      return Promise.all(
        bundlesSince(store, after).map(async (bundle) => ({
          publicKey: bundle.publicKey,
          revision: bundle.revision,
          bundle: await signed(bundle, epoch),
        })),
      );
    },
    forget(deviceId: string): void {
      bundles.delete(deviceId);
    },
    /** For when the database went back: the same revision will say something else. */
    forgetAll(): void {
      snapshot = undefined;
      bundles.clear();
    },
  };
}
