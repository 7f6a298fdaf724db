import type { Bundle, BundleNetwork } from '#contract/bundle.ts';
import type { PublicKey } from '#contract/key.ts';
import type { Name } from '#contract/name.ts';
import { type Cidr, cidrContains, cidrsOverlap, type Endpoint, type Ipv4 } from '#contract/network.ts';
import type { RosterNode } from '#contract/roster.ts';

export const interfaceName = 'postern0';

/**
 * The MTU of the tunnel until the path is measured: the largest that every path the tunnel itself supports carries
 * (IPv6 asks for 1280 bytes on any link, and less than that would be refused).
 */
export const tunnelMtu = 1280;

export type DesiredPeer = {
  node: Name;
  publicKey: PublicKey;
  endpoints: readonly Endpoint[];
  allowedIps: readonly Cidr[];
  persistentKeepaliveSeconds: number;
};

/** A route of this machine that does not lead into our tunnel. `isConnected` when its hosts are on that link itself. */
export type LocalRoute = { cidr: Cidr; device: string; isConnected: boolean };

/** A granted network that this machine cannot route to, and why. */
export type RefusedRoute = { network: Name; cidr: Cidr; reason: string };

/** Everything the tunnel should be. */
export type DesiredTunnel = {
  address: Ipv4;
  peers: readonly DesiredPeer[];
  routes: readonly Cidr[];
  refused: readonly RefusedRoute[];
};

/**
 * What the tunnel should be by this bundle, where these nodes have its subnets: see `ownersOf`.
 *
 * Every node is a peer with its own /32, so that each can be asked, and is at hand when another is lost. Any other subnet
 * belongs to one peer only (that is how WireGuard works). Routes lead into the tunnel, whichever node is behind them.
 */
export function desiredTunnel(
  bundle: Bundle,
  owners: ReadonlyMap<Cidr, Name>,
  localRoutes: readonly LocalRoute[],
): DesiredTunnel {
  const refused = refusedRoutes(bundle, localRoutes);
  const taken = bundle.networks.filter(
    ({ cidr, name }) => owners.has(cidr) && !refused.some((route) => route.network === name && route.cidr === cidr),
  );
  return {
    address: bundle.address,
    peers: desiredPeers(bundle, owners),
    routes: unique([
      ...bundle.nodes.map(({ tunnelAddress }) => `${tunnelAddress}/32`),
      ...(bundle.vip === undefined ? [] : [`${bundle.vip}/32`]),
      ...taken.map(({ cidr }) => cidr),
    ]),
    refused,
  };
}

export function desiredPeers(bundle: Bundle, owners: ReadonlyMap<Cidr, Name>): readonly DesiredPeer[] {
  return bundle.nodes.map((node) => ({
    node: node.name,
    publicKey: node.publicKey,
    endpoints: node.endpoints,
    allowedIps: unique([
      `${node.tunnelAddress}/32`,
      ...[...owners].filter(([, owner]) => owner === node.name).map(([cidr]) => cidr),
    ]),
    persistentKeepaliveSeconds: bundle.persistentKeepaliveSeconds,
  }));
}

/** Networks of the bundle that cannot be routed on this machine. */
export function refusedRoutes(bundle: Bundle, localRoutes: readonly LocalRoute[]): readonly RefusedRoute[] {
  return bundle.networks.flatMap((network) => {
    const reason = whyNotRouted(network, bundle.nodes, localRoutes);
    return reason === undefined ? [] : [{ network: network.name, cidr: network.cidr, reason }];
  });
}

function whyNotRouted(
  { cidr }: BundleNetwork,
  nodes: readonly RosterNode[],
  localRoutes: readonly LocalRoute[],
): string | undefined {
  const local = localRoutes.find((route) => route.isConnected && cidrsOverlap(route.cidr, cidr));
  if (local !== undefined) return `this machine has ${local.cidr} itself, on ${local.device}`;
  const other = localRoutes.find((route) => route.cidr === cidr);
  if (other !== undefined) return `this machine has a route there already, by ${other.device}`;
  const inside = nodes.find(({ endpoints }) => endpoints.some((endpoint) => liesIn(cidr, endpoint)));
  if (inside !== undefined) return `${inside.name} itself is reached there; its tunnel would run through itself`;
  return undefined;
}

function liesIn(cidr: Cidr, endpoint: Endpoint): boolean {
  const host = endpoint.slice(0, endpoint.lastIndexOf(':'));
  return /^[\d.]+$/.test(host) && cidrContains(cidr, host);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
