import type { BundleContent } from '#contract/bundle.ts';
import type { RosterDevice, RosterNode, RosterUser } from '#contract/roster.ts';
import { networksFor } from '#policies/meaning/networks.ts';
import type { World } from '#policies/meaning/world.ts';

/** Keeps a NAT's mapping alive without waking a phone's radio all the time; the value wg(8) recommends. */
const persistentKeepaliveSeconds = 25;

/**
 * The content of a device's bundle: where it is, who the nodes are and where its tunnel leads at `now` (Unix
 * milliseconds). It changes when a grant runs out: see `nextEnd`. The device need not be in the world's roster yet.
 */
export function bundleContent(
  world: World,
  nodes: readonly RosterNode[],
  device: Pick<RosterDevice, 'name' | 'publicKey' | 'address'>,
  user: Pick<RosterUser, 'email' | 'role'>,
  now: number,
): BundleContent {
  const principal = { email: user.email, device: device.name, roles: world.rolesOf(user.role) };
  return {
    deviceKey: device.publicKey,
    deviceName: device.name,
    address: device.address,
    pool: world.roster.pool,
    nodes: [...nodes],
    networks: [...networksFor(world, principal, now)],
    persistentKeepaliveSeconds,
  };
}
