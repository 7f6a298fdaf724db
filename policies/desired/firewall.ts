import type { Cidr, InterfaceName, Ipv4 } from '#contract/network.ts';
import { agentPort } from '#contract/probe.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { targetsOf } from './access.ts';

/** The addresses of some devices, under the name by which rules refer to them. */
export type AddressSet = { name: string; addresses: readonly Ipv4[] };

export type Verdict = 'ACCEPT' | 'DROP' | 'RETURN' | 'MASQUERADE';

/** A match on a set: the packet's source or destination is in it, or with `absent` is not. */
export type SetMatch = { set: string; side: 'src' | 'dst'; absent?: true };

/** One rule. All that is given must match; `notInput` is any interface but that one. */
export type Rule = {
  source?: Cidr;
  destination?: Cidr;
  input?: InterfaceName;
  notInput?: InterfaceName;
  output?: InterfaceName;
  protocol?: 'tcp' | 'udp' | 'icmp';
  destinationPort?: number;
  member?: SetMatch;
  /** The packet answers a flow that somebody else began (`reply`), or is an error about one (`error`). */
  direction?: 'reply' | 'error';
  verdict: Verdict;
};

/** A chain of ours, and the built-in chain that must jump to it before anything else. */
export type Chain = {
  family: 'ipv4' | 'ipv6';
  table: 'filter' | 'nat';
  name: string;
  hook: 'INPUT' | 'FORWARD' | 'POSTROUTING';
  rules: readonly Rule[];
};

export type DesiredFirewall = { sets: readonly AddressSet[]; chains: readonly Chain[] };

export const memberSet = 'postern-members';

/** At most 30 characters with the longest role name; ipset(8) takes 31. */
export function roleSet(role: string): string {
  return `postern-r-${role}`;
}

/**
 * What a node's firewall should be: which devices each role means, and what they may reach through this node.
 *
 * A packet that begins a flow is held against the sets every time, and so is every answer to it. Whoever leaves a set
 * is cut off in both directions at once, without touching connection tracking. Everything else that comes from or
 * goes to the tunnel is dropped. A node that is not in the snapshot is closed.
 */
export function desiredFirewall(snapshot: Snapshot, nodeName: string, tunnel: InterfaceName = 'wg0'): DesiredFirewall {
  const node = snapshot.nodes.find((candidate) => candidate.name === nodeName);
  if (node === undefined) return closedFirewall(tunnel);

  const roles = snapshot.policy.roles
    .map(({ name }) => name)
    .filter((role) => passages(snapshot, role, nodeName).length > 0);
  const sets = [
    { name: memberSet, addresses: snapshot.devices.map((device) => device.address) },
    ...roles.map((role) => ({ name: roleSet(role), addresses: addressesOf(snapshot, role) })),
  ];
  const granted = roles.flatMap((role) =>
    passages(snapshot, role, nodeName).flatMap((passage) => passageRules(passage, roleSet(role), tunnel)),
  );
  const base = chainsAround(tunnel, granted, plumbing(tunnel, node.tunnelAddress), node.tunnelAddress);
  return { sets, chains: [...base, ...masquerade(snapshot, nodeName)] };
}

/** The firewall of a node that knows of no devices: nothing from the tunnel, nothing to it. */
export function closedFirewall(tunnel: InterfaceName = 'wg0'): DesiredFirewall {
  return { sets: [{ name: memberSet, addresses: [] }], chains: chainsAround(tunnel, [], [], undefined) };
}

/** Where a grant leads on one node: a subnet behind an interface. */
type Passage = { cidr: Cidr; device: InterfaceName | 'tunnel' };

function passages({ pool, policy }: Snapshot, role: string, nodeName: string): readonly Passage[] {
  return targetsOf(policy, role).flatMap((target): readonly Passage[] => {
    if (target.kind === 'devices') return [{ cidr: pool, device: 'tunnel' }];
    const network = policy.networks.find((candidate) => candidate.name === target.network);
    return (network?.gateways ?? [])
      .filter((gateway) => gateway.node === nodeName)
      .map((gateway) => ({ cidr: network?.cidr ?? pool, device: gateway.device }));
  });
}

function addressesOf({ users, devices }: Snapshot, role: string): readonly Ipv4[] {
  const ids = new Set(users.filter((user) => user.role === role).map((user) => user.id));
  return devices.filter((device) => ids.has(device.userId)).map((device) => device.address);
}

function passageRules({ cidr, device }: Passage, set: string, tunnel: InterfaceName): readonly Rule[] {
  const behind = device === 'tunnel' ? tunnel : device;
  return [
    { destination: cidr, input: tunnel, output: behind, member: { set, side: 'src' }, verdict: 'ACCEPT' },
    {
      source: cidr,
      input: behind,
      output: tunnel,
      member: { set, side: 'dst' },
      direction: 'reply',
      verdict: 'ACCEPT',
    },
  ];
}

/** What every device may ask of the node itself: whether it is well, and for the device's own bundle. */
function plumbing(tunnel: InterfaceName, address: Ipv4): readonly Rule[] {
  return (['udp', 'tcp'] as const).map((protocol) => ({
    destination: `${address}/32`,
    input: tunnel,
    protocol,
    destinationPort: agentPort,
    verdict: 'ACCEPT',
  }));
}

function chainsAround(
  tunnel: InterfaceName,
  granted: readonly Rule[],
  services: readonly Rule[],
  tunnelAddress: Ipv4 | undefined,
): readonly Chain[] {
  const stranger = { set: memberSet, absent: true } as const;
  const fromStranger: Rule = { input: tunnel, member: { ...stranger, side: 'src' }, verdict: 'DROP' };
  const toStranger: Rule = { output: tunnel, member: { ...stranger, side: 'dst' }, verdict: 'DROP' };
  const fromTunnel: Rule = { input: tunnel, verdict: 'DROP' };
  const toTunnel: Rule = { output: tunnel, verdict: 'DROP' };
  // Routers on the way report their errors (too big, unreachable) from addresses of their own, outside the network.
  const errors: readonly Rule[] =
    granted.length > 0 ? [{ output: tunnel, protocol: 'icmp', direction: 'error', verdict: 'ACCEPT' }] : [];
  // The node's own tunnel address belongs to the tunnel: nobody on the LAN may ask for a bundle in a device's name.
  const impostor: readonly Rule[] =
    tunnelAddress === undefined ? [] : [{ destination: `${tunnelAddress}/32`, notInput: tunnel, verdict: 'DROP' }];
  const chain = (family: Chain['family'], hook: 'INPUT' | 'FORWARD', rules: readonly Rule[]): Chain => ({
    family,
    table: 'filter',
    name: `POSTERN-${hook}`,
    hook,
    rules,
  });
  return [
    chain('ipv4', 'FORWARD', [fromStranger, toStranger, ...granted, ...errors, fromTunnel, toTunnel]),
    chain('ipv4', 'INPUT', [
      { input: 'lo', verdict: 'RETURN' },
      ...impostor,
      fromStranger,
      { input: tunnel, direction: 'reply', verdict: 'ACCEPT' },
      ...services,
      fromTunnel,
    ]),
    chain('ipv6', 'FORWARD', [fromTunnel, toTunnel]),
    chain('ipv6', 'INPUT', [fromTunnel]),
  ];
}

function masquerade({ pool, policy }: Snapshot, nodeName: string): readonly Chain[] {
  const rules = policy.networks
    .filter((network) => network.nat)
    .flatMap(({ cidr, gateways }) =>
      gateways
        .filter((gateway) => gateway.node === nodeName)
        .map(({ device }): Rule => ({ source: pool, destination: cidr, output: device, verdict: 'MASQUERADE' })),
    );
  return rules.length === 0 ? [] : [{ family: 'ipv4', table: 'nat', name: 'POSTERN-NAT', hook: 'POSTROUTING', rules }];
}
