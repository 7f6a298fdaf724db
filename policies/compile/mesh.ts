import { agentPort } from '#contract/probe.ts';
import { ownRegion } from '#policies/meaning/access.ts';
import { type Region, union } from '#policies/meaning/region.ts';
import { placeInMesh } from '#policies/meaning/world.ts';
import { chainNames, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, drop, jump, type Match, type Rule } from './firewall.ts';
import { inMidstream } from './forward.ts';
import { gatewayDevice } from './grants.ts';

/**
 * Traffic between the nodes. A packet from a device is judged where it comes in: the node there holds it against the
 * grants, as for its own networks, and sends it on with its own address in the mesh. The node it comes to believes the
 * others, and leads on to its own networks what carries such an address. Nothing else goes over the mesh.
 */

/** Behind the rules for the tunnel, so that what goes between the tunnel and the mesh is not seen here, and costs nothing. */
export function meshRules(plan: Plan): Rule[] {
  const { mesh } = plan;
  const rule = ruleWriter(plan);
  return [
    rule({ in: mesh }, jump(chainNames.mesh), 'from other nodes'),
    rule({ out: mesh, states: ['RELATED', 'ESTABLISHED'], direction: 'REPLY' }, accept, 'answers to other nodes'),
    rule({ out: mesh }, drop, 'flows begun outside'),
  ];
}

/** What other nodes send on to the networks behind this one. */
export function exitRules(plan: Plan): Rule[] {
  const { world, node } = plan;
  const rule = ruleWriter(plan);
  const places = placesBehind(plan);
  const own = placeInMesh(world, node);
  const refused = rule({}, jump(chainNames.refuse), 'nothing allows it');
  if (own === undefined) return [refused];
  const onItsWay = { notStates: ['INVALID', 'UNTRACKED', 'DNAT'], direction: 'ORIGINAL' } as const;
  return [
    rule(inMidstream, jump(chainNames.refuse), 'no flow begins in midstream'),
    ...places.map(({ match, lines }) => rule({ source: own.cidr, ...match, ...onItsWay }, accept, lines)),
    refused,
  ];
}

/** What other nodes say to this one: who holds the address that moves, who lives, and what agents ask each other. */
export function meshHostRules(plan: Plan): Rule[] {
  const { world, node } = plan;
  const rule = ruleWriter(plan);
  const own = placeInMesh(world, node);
  const from = (match: Match, why: string) =>
    own === undefined ? [] : [rule({ source: own.cidr, ...match }, accept, why)];
  const agent = { first: agentPort, last: agentPort };
  const toAgent = (protocol: 'udp' | 'tcp') =>
    own === undefined ? [] : from({ destination: `${own.address}/32`, protocol, destinationPorts: [agent] }, 'agents');
  return [
    rule({ states: ['RELATED', 'ESTABLISHED'], direction: 'REPLY' }, accept, 'answers to the node'),
    ...from({ protocol: 'vrrp' }, 'VRRP'),
    ...toAgent('udp'),
    ...toAgent('tcp'),
    ...from({ protocol: 'icmp', icmpType: 8 }, 'echo'),
    rule({}, drop, 'nothing else between nodes'),
  ];
}

/** To the networks it does not know, a node looks like the one that judged. */
export function exitMasquerades(plan: Plan): Rule[] {
  const { world, node, mesh } = plan;
  const rule = ruleWriter(plan);
  const places = placesBehind(plan);
  const own = placeInMesh(world, node);
  const isEntry = [...world.networks.values()].some((network) => gatewayDevice(network, node) === undefined);
  return [
    ...(isEntry
      ? [rule({ source: world.roster.pool, out: mesh }, { kind: 'MASQUERADE' }, 'to other nodes, as this one')]
      : []),
    ...(own === undefined
      ? []
      : places.map(({ match, lines }) => rule({ source: own.cidr, ...match }, { kind: 'MASQUERADE' }, lines))),
  ];
}

/** The networks behind this node, by interface. Which sets that needs follows from the document alone. */
function placesBehind({ world, node, sets }: Plan) {
  const behind = new Map<string, { region: Region; lines: number[] }>();
  for (const network of world.networks.values()) {
    const device = gatewayDevice(network, node);
    if (device === undefined) continue;
    const known = behind.get(device) ?? { region: [], lines: [] };
    behind.set(device, {
      region: union(known.region, ownRegion(world, network)),
      lines: [...known.lines, network.line],
    });
  }
  return [...behind].map(([out, { region, lines }]) => ({ match: { out, ...sets.placeMatch(region) }, lines }));
}
