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
import { type DesiredInterface, type InterfaceStep, type ObservedTunnel, planInterface } from './interface.ts';
import { type PeerStep, planPeers } from './peers.ts';

/** What a node should be. A closed node has no say about its interface: whatever is there stays, without peers. */
export type DesiredNode = {
  firewall: DesiredFirewall;
  tunnel: DesiredInterface | undefined;
  peers: readonly Peer[];
};

export type ObservedNode = {
  firewall: ObservedFirewall;
  tunnel: ObservedTunnel;
  peers: readonly Peer[];
  /** Forwarding of each device as it was before we first changed it. */
  foundForwarding: ReadonlyMap<InterfaceName, boolean>;
};

export type Step = FirewallStep | InterfaceStep | PeerStep;

/** Carries a full WireGuard packet over IPv6 on a path of 1500 bytes. */
const mtu = 1420;

export type NodeSelf = { node: string; interface: InterfaceName; listenPort: number; publicKey: string };

/** A node without a snapshot: default deny stands, nobody is let in. */
export function closedNode(self: Pick<NodeSelf, 'node' | 'interface'>): DesiredNode {
  return { firewall: closedFirewall(self.node, self.interface), tunnel: undefined, peers: [] };
}

/** What a snapshot means for this node. One that is not in the snapshot (any more) is closed. */
export function desiredNode(snapshot: Snapshot, world: World, self: NodeSelf): DesiredNode {
  const node = snapshot.nodes.find((candidate) => candidate.name === self.node);
  if (node === undefined) return closedNode(self);
  const devices = [...world.networks.values()].flatMap((network) => gatewayDevice(network, self.node) ?? []);
  const { revision } = snapshot.policy;
  const moving = movingAddress(snapshot);
  return {
    firewall: compileFirewall(world, { node: self.node, revision, tunnel: self.interface }),
    tunnel: {
      name: self.interface,
      publicKey: self.publicKey,
      listenPort: self.listenPort,
      addresses: [
        addressInPool(node.tunnelAddress, snapshot.pool),
        ...heldAddresses(snapshot).map((address) => `${address}/32`),
      ],
      ...(moving === undefined ? {} : { moving: `${moving}/32` }),
      mtu,
      forwarding: [...new Set(devices)],
    },
    peers: desiredPeers(snapshot),
  };
}

function addressInPool(address: string, pool: Cidr): string {
  return `${address}/${cidrRange(pool).prefix}`;
}

/**
 * The steps for the whole node at `now` (Unix milliseconds), in an order that is safe to be cut short anywhere: default
 * deny stands before the tunnel is up; whoever is revoked leaves the sets before the peers; new rules and new members of
 * a set come when the former owners of their addresses are gone; and a new peer comes last, when the rules for it stand.
 * Who keeps the address gets what is new before losing what is old: what both allow is never refused in between.
 */
export function planNode(observed: ObservedNode, desired: DesiredNode, now: number): readonly Step[] {
  const firewall = planFirewall(observed.firewall, desired.firewall, now);
  const keepers = addressesKept(observed.peers, desired.peers);
  const isKept = (step: SetStep) => 'element' in step && keepers.has(step.element);
  const peers = planPeers(observed.peers, desired.peers);
  const tunnel =
    desired.tunnel === undefined ? [] : planInterface(observed.tunnel, desired.tunnel, observed.foundForwarding);
  return [
    ...firewall.shrink.filter((step) => !isKept(step)),
    ...peers.narrow,
    ...firewall.rules,
    ...tunnel.filter((step) => step.kind !== 'bring-up'),
    ...firewall.widen,
    ...firewall.shrink.filter(isKept),
    ...peers.widen,
    ...tunnel.filter((step) => step.kind === 'bring-up'),
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
