import type { PublicKey } from '#contract/key.ts';
import type { Cidr } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';

/** A device as a node's WireGuard should know it: its key, and the one address it may send from. */
export type Peer = { publicKey: PublicKey; allowedIps: readonly Cidr[] };

/** Every node knows every device, so that a device can change nodes without asking anybody. */
export function desiredPeers(snapshot: Pick<Snapshot, 'devices'>): readonly Peer[] {
  return snapshot.devices.map(({ publicKey, address }) => ({ publicKey, allowedIps: [`${address}/32`] }));
}
