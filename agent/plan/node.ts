import { type Cidr, cidrRange, type InterfaceName } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { closedFirewall, type DesiredFirewall, desiredFirewall } from '#policies/desired/firewall.ts';
import { desiredPeers, type Peer } from '#policies/desired/peers.ts';
import { type FirewallStep, type ObservedFirewall, planFirewall } from './firewall.ts';
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
export function closedNode(self: Pick<NodeSelf, 'interface'>): DesiredNode {
  return { firewall: closedFirewall(self.interface), tunnel: undefined, peers: [] };
}

/** What a snapshot means for this node. One that is not in the snapshot (any more) is closed. */
export function desiredNode(snapshot: Snapshot, self: NodeSelf): DesiredNode {
  const node = snapshot.nodes.find((candidate) => candidate.name === self.node);
  if (node === undefined) return closedNode(self);
  const devices = snapshot.policy.networks.flatMap(({ gateways }) =>
    gateways.filter((gateway) => gateway.node === self.node).map((gateway) => gateway.device),
  );
  return {
    firewall: desiredFirewall(snapshot, self.node, self.interface),
    tunnel: {
      name: self.interface,
      publicKey: self.publicKey,
      listenPort: self.listenPort,
      address: addressInPool(node.tunnelAddress, snapshot.pool),
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
 * The steps for the whole node, in an order that is safe to be cut short anywhere: default deny stands before the
 * tunnel is up; whoever is revoked leaves the sets before the peers; new rules and new members of a set come when the
 * former owners of their addresses are gone; and a new peer comes last, when the rules for it stand.
 */
export function planNode(observed: ObservedNode, desired: DesiredNode): readonly Step[] {
  const firewall = planFirewall(observed.firewall, desired.firewall);
  const peers = planPeers(observed.peers, desired.peers);
  const tunnel =
    desired.tunnel === undefined ? [] : planInterface(observed.tunnel, desired.tunnel, observed.foundForwarding);
  return [
    ...firewall.shrink,
    ...peers.narrow,
    ...firewall.rules,
    ...tunnel.filter((step) => step.kind !== 'bring-up'),
    ...firewall.widen,
    ...peers.widen,
    ...tunnel.filter((step) => step.kind === 'bring-up'),
  ];
}
