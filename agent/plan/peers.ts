import type { PublicKey } from '#contract/key.ts';
import type { Cidr } from '#contract/network.ts';
import type { Peer } from '#policies/desired/peers.ts';

export type PeerStep =
  | { kind: 'remove-peer'; publicKey: PublicKey }
  | { kind: 'set-peer'; publicKey: PublicKey; allowedIps: readonly Cidr[] };

/**
 * The steps that turn the observed peers into the desired ones, in two halves: after `narrow` nobody has an address
 * that is not theirs any more, and `widen` gives what is new. A plan cut short has revoked before it has admitted.
 *
 * Device endpoints are absent: a node learns them from handshakes, and writing one back undoes roaming.
 */
export function planPeers(
  observed: readonly Peer[],
  desired: readonly Peer[],
): { narrow: readonly PeerStep[]; widen: readonly PeerStep[] } {
  const desiredByKey = new Map(desired.map((peer) => [peer.publicKey, peer]));
  const narrow = observed.flatMap(({ publicKey, allowedIps }): readonly PeerStep[] => {
    const wanted = desiredByKey.get(publicKey)?.allowedIps;
    if (wanted === undefined) return [{ kind: 'remove-peer', publicKey }];
    const kept = allowedIps.filter((cidr) => wanted.includes(cidr));
    return kept.length === allowedIps.length ? [] : [{ kind: 'set-peer', publicKey, allowedIps: kept }];
  });

  const observedByKey = new Map(observed.map((peer) => [peer.publicKey, peer]));
  const widen = desired
    .filter(({ publicKey, allowedIps }) => {
      const present = observedByKey.get(publicKey)?.allowedIps;
      return present === undefined || allowedIps.some((cidr) => !present.includes(cidr));
    })
    .map(({ publicKey, allowedIps }): PeerStep => ({ kind: 'set-peer', publicKey, allowedIps }));
  return { narrow, widen };
}
