import type { PublicKey } from '#contract/key.ts';
import type { Cidr, Endpoint, Ipv4 } from '#contract/network.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import type { DesiredPeer, DesiredTunnel } from './tunnel.ts';

/** The tunnel as it is. */
export type ObservedTunnel = {
  publicKey: PublicKey;
  isUp: boolean;
  mtu: number;
  addresses: readonly Ipv4[];
  peers: readonly ObservedPeer[];
  routes: readonly Cidr[];
};

export type PeerStep =
  | { kind: 'remove-peer'; publicKey: PublicKey }
  | {
      kind: 'set-peer';
      publicKey: PublicKey;
      /** Absent leaves the endpoint as it is: WireGuard follows a node that roams, and writing one back undoes that. */
      endpoint?: Endpoint;
      allowedIps: readonly Cidr[];
      persistentKeepaliveSeconds: number;
    };

export type RouteStep = { kind: 'add-route'; cidr: Cidr } | { kind: 'remove-route'; cidr: Cidr };

export type TunnelPlan = { peers: readonly PeerStep[]; routes: readonly RouteStep[] };

/**
 * The steps that turn the observed tunnel into the desired one; none when nothing differs. What stays is not touched,
 * so that a new bundle does not disturb a running flow.
 *
 * A peer comes before the routes to it, so that no packet of a program meets a route without a peer.
 */
export function planTunnel(
  observed: Pick<ObservedTunnel, 'peers' | 'routes'>,
  desired: Pick<DesiredTunnel, 'peers' | 'routes'>,
  endpointOf: (peer: DesiredPeer) => Endpoint | undefined = (peer) => peer.endpoints[0],
): TunnelPlan {
  const existing = new Map(observed.peers.map((peer) => [peer.publicKey, peer]));
  const wanted = new Set(desired.peers.map((peer) => peer.publicKey));
  return {
    peers: [
      ...observed.peers
        .filter(({ publicKey }) => !wanted.has(publicKey))
        .map(({ publicKey }): PeerStep => ({ kind: 'remove-peer', publicKey })),
      ...desired.peers.flatMap((peer) => {
        const before = existing.get(peer.publicKey);
        if (before !== undefined && samePeer(before, peer)) return [];
        return [setPeer(peer, before === undefined ? endpointOf(peer) : undefined)];
      }),
    ],
    routes: [
      ...observed.routes
        .filter((cidr) => !desired.routes.includes(cidr))
        .map((cidr): RouteStep => ({ kind: 'remove-route', cidr })),
      ...desired.routes
        .filter((cidr) => !observed.routes.includes(cidr))
        .map((cidr): RouteStep => ({ kind: 'add-route', cidr })),
    ],
  };
}

/** Forgets a peer that never answered and makes it anew: it then tries at once, where WireGuard would wait 5 s. */
export function retryPeer(peer: DesiredPeer, endpoint: Endpoint | undefined): readonly PeerStep[] {
  return [{ kind: 'remove-peer', publicKey: peer.publicKey }, setPeer(peer, endpoint)];
}

export function setPeer(peer: DesiredPeer, endpoint: Endpoint | undefined): PeerStep {
  return {
    kind: 'set-peer',
    publicKey: peer.publicKey,
    ...(endpoint === undefined ? {} : { endpoint }),
    allowedIps: peer.allowedIps,
    persistentKeepaliveSeconds: peer.persistentKeepaliveSeconds,
  };
}

function samePeer(observed: ObservedPeer, desired: DesiredPeer): boolean {
  return (
    observed.persistentKeepaliveSeconds === desired.persistentKeepaliveSeconds &&
    observed.allowedIps.length === desired.allowedIps.length &&
    desired.allowedIps.every((cidr) => observed.allowedIps.includes(cidr))
  );
}
