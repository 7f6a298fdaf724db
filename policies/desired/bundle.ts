import type { BundleContent } from '#contract/bundle.ts';
import type { RosterDevice, RosterNode, RosterUser } from '#contract/roster.ts';
import { Networks, type Surroundings } from '#policies/meaning/networks.ts';
import type { IndexedOutline } from './outline.ts';

/** Keeps a NAT's mapping alive without waking a phone's radio all the time; the value wg(8) recommends. */
const persistentKeepaliveSeconds = 25;

export type BundleSurroundings = Surroundings & { readonly nodes: readonly RosterNode[] };

/**
 * The content of devices' bundles: where each is, who the nodes are and where its tunnel leads at `now` (Unix
 * milliseconds). It changes when a grant runs out: see `nextEnd`.
 */
export function bundleContents(
  outline: Pick<IndexedOutline, 'grantsBySubject' | 'rolesOf'>,
  around: BundleSurroundings,
  now: number,
): (
  device: Pick<RosterDevice, 'name' | 'publicKey' | 'address'>,
  user: Pick<RosterUser, 'email' | 'role'>,
) => BundleContent {
  const networks = new Networks(outline.grantsBySubject, around, now);
  return (device, { email, role }) => ({
    deviceKey: device.publicKey,
    deviceName: device.name,
    address: device.address,
    pool: around.pool,
    nodes: [...around.nodes],
    networks: [...networks.of({ email, device: device.name, roles: outline.rolesOf(role) })],
    persistentKeepaliveSeconds,
  });
}
