import type { PublicKey } from '#contract/key.ts';
import type { Cidr, Endpoint, InterfaceName } from '#contract/network.ts';
import type { Peer } from '#policies/desired/peers.ts';

/** `keepalive` in seconds, 0 for none; absent: whatever it is stays. `on` names the interface. */
export type PeerStep =
  | { kind: 'remove-peer'; on: InterfaceName; publicKey: PublicKey }
  | {
      kind: 'set-peer';
      on: InterfaceName;
      publicKey: PublicKey;
      allowedIps: readonly Cidr[];
      keepalive?: number;
      endpoint?: Endpoint;
    };

/** `keepalive` as in a step; of an observed peer, what it is. `endpoint`: where a new peer is called first. */
export type PlannedPeer = Peer & { keepalive?: number; endpoint?: Endpoint };

/**
 * The steps that turn the observed peers of an interface into the desired ones, in two halves: after `narrow` nobody has
 * an address that is not theirs any more, and `widen` gives what is new. A plan cut short has revoked before it has
 * admitted.
 *
 * Endpoints are given to new peers alone: a node learns those of devices from handshakes, and writing one back undoes
 * roaming; where other nodes are called later, see `calls.ts`.
 */
export function planPeers(
  on: InterfaceName,
  observed: readonly PlannedPeer[],
  desired: readonly PlannedPeer[],
): { narrow: readonly PeerStep[]; widen: readonly PeerStep[] } {
  const desiredByKey = new Map(desired.map((peer) => [peer.publicKey, peer]));
  const narrow = observed.flatMap(({ publicKey, allowedIps }): readonly PeerStep[] => {
    const wanted = desiredByKey.get(publicKey)?.allowedIps;
    if (wanted === undefined) return [{ kind: 'remove-peer', on, publicKey }];
    const kept = allowedIps.filter((cidr) => wanted.includes(cidr));
    return kept.length === allowedIps.length ? [] : [{ kind: 'set-peer', on, publicKey, allowedIps: kept }];
  });

  const observedByKey = new Map(observed.map((peer) => [peer.publicKey, peer]));
  const widen = desired
    .filter(({ publicKey, allowedIps, keepalive }) => {
      const present = observedByKey.get(publicKey);
      return (
        present === undefined ||
        allowedIps.some((cidr) => !present.allowedIps.includes(cidr)) ||
        (keepalive !== undefined && keepalive !== present.keepalive)
      );
    })
    .map(({ endpoint, ...peer }): PeerStep => {
      const isNew = !observedByKey.has(peer.publicKey);
      return { kind: 'set-peer', on, ...peer, ...(isNew && endpoint !== undefined ? { endpoint } : {}) };
    });
  return { narrow, widen };
}
