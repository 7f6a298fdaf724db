import { Bundle } from '#contract/bundle.ts';
import type { PublicKey } from '#contract/key.ts';
import { cidrContains } from '#contract/network.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import { Manifest, signedTypes, type TrustList } from '#contract/trust.ts';
import { type Judged, untrusted, verifySigned } from './trust.ts';

/** What a bundle must fit to be this device's, and not behind what it has. */
export type Expected = { deviceKey: PublicKey; notOlderThan: Version | undefined };

/**
 * The bundle, if the master signed it for this device and it is not older than the one the device has.
 *
 * @throws ClientFailure untrusted
 */
export async function verifyBundle(
  jws: string,
  trust: Pick<TrustList, 'keys'>,
  expected: Expected,
  judged: Judged,
): Promise<Bundle> {
  const kind = { use: 'bundles', typ: signedTypes.bundle, schema: Bundle } as const;
  const bundle = await verifySigned(jws.trim(), trust, kind, judged);
  if (bundle.deviceKey !== expected.deviceKey) {
    throw untrusted('bundle-of-another', `The bundle is for the key ${bundle.deviceKey}, which is not this device's`);
  }
  const { notOlderThan } = expected;
  if (notOlderThan !== undefined && compareVersions(bundle, notOlderThan) < 0) {
    const [offered, have] = [bundle, notOlderThan].map(({ epoch, revision }) => `${epoch}-${revision}`);
    throw untrusted('bundle-older', `The bundle is ${offered}, older than ${have}, which this device has already`);
  }
  if (!cidrContains(bundle.pool, bundle.address)) {
    throw untrusted('bundle-address', `The bundle's address ${bundle.address} is outside its pool ${bundle.pool}`);
  }
  return bundle;
}

/**
 * The list of what the master hands out, if the release key signed it.
 *
 * @throws ClientFailure untrusted
 */
export function verifyManifest(jws: string, trust: Pick<TrustList, 'keys'>, judged: Judged): Promise<Manifest> {
  return verifySigned(jws, trust, { use: 'releases', typ: signedTypes.manifest, schema: Manifest }, judged);
}
