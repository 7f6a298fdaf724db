import type { Bundle } from '#contract/bundle.ts';
import type { TrustList } from '#contract/trust.ts';
import { verifyBundle } from './bundle.ts';
import { ClientFailure } from './failure.ts';
import type { DeviceKeys } from './state-files.ts';
import { corrupt, type Membership, type StateFiles } from './state-files.ts';
import { verifyTrustList } from './trust.ts';

/** All that a device which has joined knows, checked. */
export type Joined = { membership: Membership; keys: DeviceKeys; trust: TrustList; bundle: Bundle };

/**
 * What is on the disk, with every signature checked again. Undefined when this device has not joined.
 *
 * @throws ClientFailure state-corrupt when a part is missing or does not fit.
 */
export async function loadJoined(files: StateFiles): Promise<Joined | undefined> {
  const membership = await files.membership();
  if (membership === undefined) return undefined;
  const [{ wireguard, credential }, trustJws, bundleJws] = await Promise.all([
    files.loadKeys(),
    files.signed('trust'),
    files.signed('bundle'),
  ]);
  const missing = (name: string) => corrupt(`${files.directory}/${name}`, new Error('it is not there'));
  if (wireguard === undefined) throw missing('wireguard.key');
  if (credential === undefined) throw missing('credential.jwk.json');
  if (trustJws === undefined) throw missing('trust.jws');
  if (bundleJws === undefined) throw missing('bundle.jws');
  const unreadable = (name: string) => (cause: unknown) => {
    throw corrupt(`${files.directory}/${name}`, cause);
  };
  const trust = await verifyTrustList(trustJws.trim(), membership.root).catch(unreadable('trust.jws'));
  const keys = { wireguard, credential };
  const expected = { deviceKey: wireguard.publicKey, notOlderThan: undefined };
  const readBundle = (by: TrustList) => verifyBundle(bundleJws, by, expected, 'accepted before');
  try {
    return { membership, keys, trust, bundle: await readBundle(trust) };
  } catch (cause) {
    const nextJws = await files.nextTrust();
    if (nextJws === undefined) return unreadable('bundle.jws')(cause);
    const next = await verifyTrustList(nextJws.trim(), membership.root).catch(unreadable('trust.next.jws'));
    return { membership, keys, trust: next, bundle: await readBundle(next).catch(unreadable('bundle.jws')) };
  }
}

/** @throws ClientFailure when this device has not joined. */
export async function mustBeJoined(files: StateFiles): Promise<Joined> {
  const joined = await loadJoined(files);
  if (joined !== undefined) return joined;
  throw new ClientFailure(
    'failed',
    'not-joined',
    'This device has not joined',
    'Run the join line that your admin gave you, or `postern-client join --help`.',
  );
}
