import type { PublicKey } from '#contract/key.ts';
import type { Cidr } from '#contract/network.ts';
import type { Peer } from '#policies/desired/peers.ts';

export type PeerStep =
  | { kind: 'remove-peer'; publicKey: PublicKey }
  | { kind: 'set-peer'; publicKey: PublicKey; allowedIps: readonly Cidr[] };

/**
 * The steps that turn the observed peers into the desired ones.
 *
 * Removals come first, so that a plan cut short has revoked before it has admitted. Device endpoints are absent: a
 * node learns them from handshakes, and writing one back undoes roaming.
 */
export function planPeers(observed: readonly Peer[], desired: readonly Peer[]): readonly PeerStep[] {
  const observedByKey = new Map(observed.map((peer) => [peer.publicKey, peer]));
  const desiredKeys = new Set(desired.map((peer) => peer.publicKey));

  const removals = observed
    .filter((peer) => !desiredKeys.has(peer.publicKey))
    .map(({ publicKey }): PeerStep => ({ kind: 'remove-peer', publicKey }));
  const sets = desired
    .filter((peer) => !sameAllowedIps(observedByKey.get(peer.publicKey), peer))
    .map(({ publicKey, allowedIps }): PeerStep => ({ kind: 'set-peer', publicKey, allowedIps }));
  return [...removals, ...sets];
}

function sameAllowedIps(observed: Peer | undefined, desired: Peer): boolean {
  if (observed?.allowedIps.length !== desired.allowedIps.length) return false;
  const known = new Set(observed.allowedIps);
  return desired.allowedIps.every((cidr) => known.has(cidr));
}
