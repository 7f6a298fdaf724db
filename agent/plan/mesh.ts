import * as v from 'valibot';
import { type Cidr, type Endpoint, type InterfaceName, Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { addressInMesh, type MeshPeer, desiredMesh as meshOf } from '#policies/desired/mesh.ts';
import type { World } from '#policies/meaning/world.ts';
import type { DesiredInterface, InterfaceStep, ObservedLink } from './interface.ts';
import type { NodeSelf, OwnInterface } from './node.ts';
import { type PeerStep, type PlannedPeer, planPeers } from './peers.ts';

/** The interface between the nodes, the other nodes, and the networks that are reached through them. */
export type DesiredMesh = DesiredInterface & { peers: readonly MeshPeer[]; routes: readonly Cidr[] };

/** `routes` are those that are not the kernel's own. */
export type ObservedMesh = {
  link: ObservedLink | undefined;
  peers: readonly PlannedPeer[];
  routes: readonly Cidr[];
};

export type RouteStep =
  | { kind: 'add-route'; on: InterfaceName; cidr: Cidr }
  | { kind: 'remove-route'; on: InterfaceName; cidr: Cidr };

/** Keeps the way open through a NAT, and finds out soon that there is none. */
const keepalive = 5;

export function desiredMesh(
  snapshot: Snapshot,
  world: World,
  { node, mesh: own }: Pick<NodeSelf, 'node' | 'mesh'>,
  mtu: number,
  unfit: ReadonlySet<string>,
): DesiredMesh | undefined {
  const mesh = meshOf(snapshot, world, node, unfit);
  if (mesh === undefined) return undefined;
  return {
    name: own.interface,
    publicKey: own.publicKey,
    listenPort: own.listenPort,
    addresses: [addressInMesh(mesh)],
    foreign: [],
    mtu,
    peers: mesh.peers,
    routes: mesh.routes,
  };
}

/**
 * The steps of the mesh besides its interface. `narrow` takes away, a whole interface of ours included where the node is
 * open and alone; `routes` come when the interface is up.
 */
export function planMesh(
  observed: ObservedMesh,
  { tunnel, mesh }: { tunnel: unknown; mesh: DesiredMesh | undefined },
  own: Pick<OwnInterface, 'interface' | 'publicKey'>,
): { narrow: readonly (PeerStep | InterfaceStep)[]; widen: readonly PeerStep[]; routes: readonly RouteStep[] } {
  const on = own.interface;
  if (mesh === undefined && tunnel !== undefined && observed.link?.publicKey === own.publicKey)
    return { narrow: [{ kind: 'remove-interface', on }], widen: [], routes: [] };
  const wanted = (mesh?.peers ?? []).map(({ publicKey, allowedIps, endpoints: [first] }) => ({
    publicKey,
    allowedIps,
    keepalive,
    // A name is looked up later, where nothing waits for it.
    ...(first !== undefined && isLiteral(first) ? { endpoint: first } : {}),
  }));
  const { narrow, widen } = planPeers(on, observed.peers, wanted);
  if (mesh === undefined) return { narrow, widen, routes: [] };
  return {
    narrow,
    widen,
    routes: [
      ...observed.routes
        .filter((cidr) => !mesh.routes.includes(cidr))
        .map((cidr): RouteStep => ({ kind: 'remove-route', on, cidr })),
      ...mesh.routes
        .filter((cidr) => !observed.routes.includes(cidr))
        .map((cidr): RouteStep => ({ kind: 'add-route', on, cidr })),
    ],
  };
}

function isLiteral(endpoint: Endpoint): boolean {
  return endpoint.startsWith('[') || v.is(Ipv4, endpoint.slice(0, endpoint.lastIndexOf(':')));
}
