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
 * What the tunnel should be by this bundle.
 *
 * Every node is a peer with its own /32, so that each can be asked. A network belongs to one peer only (that is
 * how WireGuard works): the node of the highest priority that leads there, of those that know this device if any does.
 */
export function desiredTunnel(
  bundle: Bundle,
  reached: ReadonlySet<Name>,
  localRoutes: readonly LocalRoute[],
): DesiredTunnel {
  const owners = networkOwners(bundle, reached);
  const peers = bundle.nodes.map((node) => ({
    node: node.name,
    publicKey: node.publicKey,
    endpoints: node.endpoints,
    allowedIps: unique([
      `${node.tunnelAddress}/32`,
      ...[...owners].filter(([, owner]) => owner === node.name).map(([cidr]) => cidr),
    ]),
    persistentKeepaliveSeconds: bundle.persistentKeepaliveSeconds,
  }));

  const judged = bundle.networks.map((network) => ({
    network,
    reason: whyNotRouted(network, bundle.nodes, localRoutes),
  }));
  const taken = judged.filter(({ reason, network }) => reason === undefined && owners.has(network.cidr));
  return {
    address: bundle.address,
    peers,
    routes: unique([
      ...bundle.nodes.map(({ tunnelAddress }) => `${tunnelAddress}/32`),
      ...taken.map(({ network }) => network.cidr),
    ]),
    refused: judged.flatMap(({ network: { name, cidr }, reason }) =>
      reason === undefined ? [] : [{ network: name, cidr, reason }],
    ),
  };
}

/** The node that leads to each subnet. */
export function networkOwners({ networks, nodes }: Bundle, reached: ReadonlySet<Name>): ReadonlyMap<Cidr, Name> {
  const ranked = [...nodes].sort((a, b) => rank(b, reached) - rank(a, reached) || (a.name < b.name ? -1 : 1));
  const leadsTo = new Map<Cidr, Set<Name>>();
  for (const { cidr, nodes: names } of networks) leadsTo.set(cidr, new Set([...(leadsTo.get(cidr) ?? []), ...names]));
  const owners = new Map<Cidr, Name>();
  for (const [cidr, names] of leadsTo) {
    const owner = ranked.find(({ name }) => names.has(name));
    if (owner !== undefined) owners.set(cidr, owner.name);
  }
  return owners;
}

/** A node that does not know this device yet comes after all that do. */
function rank({ name, priority }: RosterNode, reached: ReadonlySet<Name>): number {
  return priority + (reached.has(name) ? 1_000_000 : 0);
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
