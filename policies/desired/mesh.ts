import type { PublicKey } from '#contract/key.ts';
import { type Cidr, cidrRange, type Endpoint, type Ipv4 } from '#contract/network.ts';
import type { RosterNode } from '#contract/roster.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import type { World } from '#policies/meaning/world.ts';

/** Another node as a node's WireGuard in the mesh should know it. */
export type MeshPeer = {
  name: string;
  publicKey: PublicKey;
  /** None when it is behind NAT: it calls. */
  endpoints: readonly Endpoint[];
  /** Its own address there, and the networks that are reached through it. */
  allowedIps: readonly Cidr[];
};

/** A node's place in the mesh of all nodes. */
export type Mesh = {
  address: Ipv4;
  /** Of the whole mesh. */
  cidr: Cidr;
  peers: readonly MeshPeer[];
  /** What other nodes lead to and this one does not. */
  routes: readonly Cidr[];
};

/**
 * Undefined for a node that is in no mesh. It is simply alone. `unfit` says which nodes lead nowhere now (`n1`), and
 * which networks a node does not lead to now (`n1 internal`).
 */
export function desiredMesh(
  snapshot: Pick<Snapshot, 'nodes' | 'mesh'>,
  world: World,
  name: string,
  unfit: ReadonlySet<string> = new Set(),
): Mesh | undefined {
  const own = snapshot.nodes.find((node) => node.name === name)?.mesh;
  if (own === undefined || snapshot.mesh === undefined) return undefined;
  const others = snapshot.nodes.filter((node) => node.name !== name && node.mesh !== undefined);
  const ways = [...world.networks.values()].flatMap(({ name: network, cidr, gateways }) => {
    const names = gateways.map(({ node }) => node.value);
    const preferred = names.includes(name) ? undefined : preferredOf(others, names, network.value, unfit);
    return preferred === undefined ? [] : [{ cidr: cidr.value, through: preferred.name }];
  });
  return {
    address: own.address,
    cidr: snapshot.mesh.cidr,
    peers: others.flatMap(({ name: other, mesh }) => {
      if (mesh === undefined) return [];
      const networks = ways.filter(({ through }) => through === other).map(({ cidr }) => cidr);
      const { publicKey, endpoints, address } = mesh;
      return [{ name: other, publicKey, endpoints, allowedIps: [`${address}/32`, ...networks] }];
    }),
    routes: ways.map(({ cidr }) => cidr),
  };
}

/** With the prefix of the mesh, which also makes the route to the others. */
export function addressInMesh({ address, cidr }: Pick<Mesh, 'address' | 'cidr'>): string {
  return `${address}/${cidrRange(cidr).prefix}`;
}

/** The most preferred of those that are fit for it; when none is, the most preferred of all. */
function preferredOf(
  nodes: readonly RosterNode[],
  names: readonly string[],
  network: string,
  unfit: ReadonlySet<string>,
) {
  const ranked = nodes
    .filter(({ name }) => names.includes(name))
    .toSorted((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  return ranked.find(({ name }) => !unfit.has(name) && !unfit.has(`${name} ${network}`)) ?? ranked[0];
}
