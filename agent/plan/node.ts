import { type Cidr, cidrRange, type InterfaceName } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { closedFirewall } from '#policies/compile/closed.ts';
import { compileFirewall } from '#policies/compile/compile.ts';
import { gatewayDevice } from '#policies/compile/grants.ts';
import { heldAddresses, movingAddress } from '#policies/desired/fronts.ts';
import { desiredPeers, type Peer } from '#policies/desired/peers.ts';
import type { World } from '#policies/meaning/world.ts';
import type { SetStep } from '../formats/ipset-save.ts';
import { type DesiredFirewall, type FirewallStep, type ObservedFirewall, planFirewall } from './firewall.ts';
import {
  type DesiredInterface,
  type InterfaceStep,
  type ObservedForwarding,
  type ObservedLink,
  planForwarding,
  planInterface,
  planLoopback,
} from './interface.ts';
import { type DesiredMesh, desiredMesh, type ObservedMesh, planMesh, type RouteStep } from './mesh.ts';
import { type PeerStep, planPeers } from './peers.ts';

/**
 * What a node should be. A closed node has no say about its interfaces: whatever is there stays, without peers. An open
 * one without `mesh` is alone.
 */
export type DesiredNode = {
  firewall: DesiredFirewall;
  tunnel: (DesiredInterface & DesiredPassage) | undefined;
  peers: readonly Peer[];
  mesh: DesiredMesh | undefined;
};

type DesiredPassage = {
  /** Interfaces that packets from networks come in by. */
  forwarding: readonly InterfaceName[];
  /** Addresses on the loopback interface. */
  held: readonly string[];
};

export type ObservedNode = {
  firewall: ObservedFirewall;
  /** `link` is absent when the interface, or the process that serves it, is gone. `held`: ours on the loopback interface. */
  tunnel: ObservedForwarding & { link: ObservedLink | undefined; held: readonly string[] };
  peers: readonly Peer[];
  mesh: ObservedMesh;
  /** Forwarding of each device as it was before we first changed it. */
  foundForwarding: ReadonlyMap<InterfaceName, boolean>;
};

export type Step = FirewallStep | InterfaceStep | PeerStep | RouteStep;

/** Carries a full WireGuard packet over IPv6 on a path of 1500 bytes. */
const mtu = 1420;

/** An interface of WireGuard that is this node's own, and its key. */
export type OwnInterface = { interface: InterfaceName; listenPort: number; publicKey: string };
export type NodeSelf = OwnInterface & { node: string; mesh: OwnInterface };
type Names = { node: string; interface: InterfaceName; mesh: { interface: InterfaceName } };

/** A node without a snapshot: default deny stands, nobody is let in. */
export function closedNode({ node, interface: tunnel, mesh }: Names): DesiredNode {
  return { firewall: closedFirewall(node, tunnel, mesh.interface), tunnel: undefined, peers: [], mesh: undefined };
}

/**
 * What a snapshot means for this node. One that is not in the snapshot (any more) is closed. `unfit` says which other
 * nodes, and which networks of theirs, cannot be reached now: `n2`, `n2 internal`.
 */
export function desiredNode(
  snapshot: Snapshot,
  world: World,
  self: NodeSelf,
  unfit: ReadonlySet<string> = new Set(),
): DesiredNode {
  const node = snapshot.nodes.find((candidate) => candidate.name === self.node);
  if (node === undefined) return closedNode(self);
  const devices = [...world.networks.values()].flatMap((network) => gatewayDevice(network, self.node) ?? []);
  const { revision } = snapshot.policy;
  const { vip } = snapshot;
  const { interface: tunnel, publicKey, listenPort } = self;
  const moving = movingAddress(snapshot);
  return {
    firewall: compileFirewall(world, { node: self.node, revision, tunnel, mesh: self.mesh.interface }),
    tunnel: {
      name: tunnel,
      publicKey,
      listenPort,
      addresses: [
        addressInPool(node.tunnelAddress, snapshot.pool),
        ...heldAddresses(snapshot).map((address) => `${address}/32`),
      ],
      // keepalived puts it there, on one node.
      foreign: moving === undefined ? [] : [`${moving}/32`],
      held: vip === undefined ? [] : [`${vip}/32`],
      mtu,
      forwarding: [...new Set(devices)],
    },
    peers: desiredPeers(snapshot),
    mesh: desiredMesh(snapshot, world, self, mtu, unfit),
  };
}

function addressInPool(address: string, pool: Cidr): string {
  return `${address}/${cidrRange(pool).prefix}`;
}

/**
 * The steps for the whole node at `now` (Unix milliseconds), in an order that is safe to be cut short anywhere: default
 * deny stands before an interface is up; whoever is revoked leaves the sets before the peers; new rules and new members of
 * a set come when the former owners of their addresses are gone; and a new peer comes last, when the rules for it stand.
 * Who keeps the address gets what is new before losing what is old: what both allow is never refused in between.
 */
export function planNode(
  observed: ObservedNode,
  desired: DesiredNode,
  self: Pick<NodeSelf, 'interface' | 'mesh'>,
  now: number,
): readonly Step[] {
  const firewall = planFirewall(observed.firewall, desired.firewall, now);
  const keepers = addressesKept(observed.peers, desired.peers);
  const isKept = (step: SetStep) => 'element' in step && keepers.has(step.element);
  const peers = planPeers(self.interface, observed.peers, desired.peers);
  const mesh = planMesh(observed.mesh, desired, self.mesh);
  const tunnel = planPassage(observed, desired);
  return [
    ...firewall.shrink.filter((step) => !isKept(step)),
    ...peers.narrow,
    ...mesh.narrow,
    ...firewall.rules,
    ...tunnel.filter((step) => step.kind !== 'bring-up'),
    ...firewall.widen,
    ...firewall.shrink.filter(isKept),
    ...peers.widen,
    ...mesh.widen,
    ...tunnel.filter((step) => step.kind === 'bring-up'),
    ...mesh.routes,
  ];
}

/** Both interfaces, what is passed on between them, and what the loopback interface holds. */
function planPassage(observed: ObservedNode, { tunnel, mesh }: DesiredNode): readonly InterfaceStep[] {
  if (tunnel === undefined) return [];
  const between = mesh === undefined ? [] : [mesh.name];
  const created = [
    ...(observed.tunnel.link === undefined ? [tunnel.name] : []),
    ...(observed.mesh.link === undefined ? between : []),
  ];
  return [
    ...planInterface(observed.tunnel.link, tunnel),
    ...(mesh === undefined ? [] : planInterface(observed.mesh.link, mesh)),
    ...planLoopback(observed.tunnel.held, tunnel.held),
    ...planForwarding(
      observed.tunnel,
      [tunnel.name, ...between, ...tunnel.forwarding],
      observed.foundForwarding,
      created,
    ),
  ];
}

/** The addresses that belong to the same key before and after. */
function addressesKept(observed: readonly Peer[], desired: readonly Peer[]): ReadonlySet<string> {
  const before = new Map(observed.map(({ publicKey, allowedIps }) => [publicKey, allowedIps]));
  return new Set(
    desired.flatMap(({ publicKey, allowedIps }) =>
      allowedIps.filter((cidr) => before.get(publicKey)?.includes(cidr)).map((cidr) => cidr.replace('/32', '')),
    ),
  );
}
