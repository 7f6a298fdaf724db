import { visiblePorts } from '#policies/language/statement.ts';
import { placeInMesh } from '#policies/meaning/world.ts';
import { chainNames, chainTowards, ownAddresses, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, type Chain, drop, jump, originalPortMatches, portMatches, type Rule } from './firewall.ts';
import { deviceTowards } from './grants.ts';
import { exitRules, meshRules } from './mesh.ts';

/**
 * Traffic through the node. The order is the design: who is no device any more is dropped first, so a revoked device's
 * live flows stop at once; answers pass; everything on its way there is held against the sets, packet by packet, so a
 * narrowed grant ends its flows; what is left of TCP in midstream gets a reset; the rest is dropped.
 */
export function forwardChains(plan: Plan): Chain[] {
  const { tunnel, sets, timed } = plan;
  const rule = ruleWriter(plan);
  const answers = { out: tunnel, direction: 'REPLY' } as const;
  const towards = grantRules(plan);
  const rules: Rule[] = [
    rule({ in: tunnel, sets: [{ name: sets.members, side: 'src', not: true }] }, drop, 'gate: the source is no device'),
    rule(
      { out: tunnel, sets: [{ name: sets.members, side: 'dst', not: true }] },
      drop,
      'gate: the destination is no device',
    ),
    ...(timed === undefined
      ? [rule({ ...answers, states: ['RELATED', 'ESTABLISHED'] }, accept, 'answers')]
      : [
          rule({ ...answers, states: ['ESTABLISHED'] }, jump(chainNames.reply), 'answers'),
          rule({ ...answers, states: ['RELATED'] }, accept, 'errors about flows'),
        ]),
    rule({ in: tunnel, ...inMidstream }, jump(chainNames.refuse), 'no flow begins in midstream'),
    ...[...towards.keys()].map((out) =>
      rule({ in: tunnel, out, ...onItsWay }, jump(chainTowards(out)), 'granted, by interface'),
    ),
    rule({ in: tunnel, states: ['DNAT'], direction: 'ORIGINAL' }, jump(chainNames.redirected), 'redirected'),
    rule({ in: tunnel }, jump(chainNames.refuse), 'nothing allows it'),
    rule({ out: tunnel }, drop, 'flows begun outside'),
    ...meshRules(plan),
    ...publishedRules(plan),
  ];
  return [
    { family: 4, table: 'filter', name: chainNames.forward, rules },
    ...[...towards].map(([out, granted]): Chain => {
      return { family: 4, table: 'filter', name: chainTowards(out), rules: granted };
    }),
    { family: 4, table: 'filter', name: chainNames.redirected, rules: redirectedRules(plan) },
    { family: 4, table: 'filter', name: chainNames.mesh, rules: exitRules(plan) },
    { family: 4, table: 'filter', name: chainNames.refuse, rules: refuseRules(plan) },
  ];
}

/** The kernel makes a flow of TCP that it meets in midstream, unless `nf_conntrack_tcp_loose` is off, which is not ours. */
export const inMidstream = { protocol: 'tcp', tcp: 'goes-on', states: ['NEW'] } as const;

/** Ports that are closed on a public interface and that Docker publishes: redirected before INPUT could see them. */
export function publishedRules(plan: Plan): Rule[] {
  const { world, node, tunnel } = plan;
  const rule = ruleWriter(plan);
  return world.vpnOnly
    .filter((statement) => statement.node.value === node && statement.device.value !== tunnel)
    .flatMap(({ device, ports, line }) =>
      originalPortMatches(ports.map(({ value }) => value)).map((match) =>
        rule({ in: device.value, ...match, states: ['DNAT'], direction: 'ORIGINAL' }, drop, `vpn-only, line ${line}`),
      ),
    );
}

/**
 * What the grants let through, by the interface it leaves by: a packet is held against those of its own way alone, and
 * what no flow is known of, comes back or was redirected does not get there.
 */
function grantRules(plan: Plan): Map<string, Rule[]> {
  const { tunnel, sets, grants } = plan;
  const rule = ruleWriter(plan);
  const towards = new Map<string, Rule[]>();
  for (const grant of grants) {
    const { place, ports, lines } = grant;
    if (place.kind !== 'devices' && place.kind !== 'network') continue;
    const out = place.kind === 'devices' ? tunnel : place.device;
    const { sets: there = [], ...subnet } = place.kind === 'devices' ? {} : sets.placeMatch(place.region);
    const who = { ...subnet, sets: [sets.matchOf(grant), ...there] };
    const rules = towards.get(out) ?? [];
    rules.push(...portMatches(ports).map((match) => rule({ ...match, ...who }, accept, lines)));
    towards.set(out, rules);
  }
  return towards;
}

const onItsWay = { notStates: ['INVALID', 'UNTRACKED', 'DNAT'], direction: 'ORIGINAL' } as const;

/**
 * Flows that were redirected on their way in are judged by where they were sent: to a front, whose other ports lead on
 * to its backend, or to the node itself, where Docker publishes a container's port. Any other redirection is refused.
 */
function redirectedRules(plan: Plan): Rule[] {
  const { world, grants, sets } = plan;
  const rule = ruleWriter(plan);
  const backends = grants.flatMap((grant) => {
    const { place, ports, lines } = grant;
    if (place.kind !== 'backend') return [];
    const who = sets.matchOf(grant);
    const front = world.frontAddresses.get(place.service.name.value);
    if (front === undefined) return [];
    const there = { out: place.device, destination: `${place.service.address.value}/32`, originalDestination: front };
    return originalPortMatches(ports).map((match) => rule({ ...there, ...match, sets: [who] }, accept, lines));
  });
  const own = ownAddresses(plan).map((originalDestination) =>
    rule({ originalDestination }, jump(chainNames.host), 'published by the node'),
  );
  return [...backends, ...own, rule({}, jump(chainNames.refuse), 'nothing allows it')];
}

function refuseRules(plan: Plan): Rule[] {
  const rule = ruleWriter(plan);
  return [
    rule({ protocol: 'tcp', tcp: 'goes-on' }, { kind: 'RESET' }, 'so that nothing hangs'),
    rule({}, drop, 'nothing allows it'),
  ];
}

/** The fronts whose other ports lead on from this node, itself or through another, with the interface towards the backend. */
export function leadingFronts({ world, node, mesh }: Pick<Plan, 'world' | 'node' | 'mesh'>) {
  return [...world.fronts].flatMap(([address, service]) => {
    const network = world.subnets.networkOf(service.address.value);
    const ports = visiblePorts(service).slice(1);
    if (network === undefined || ports.length === 0) return [];
    const device = deviceTowards(network, { node, mesh });
    return device === mesh && placeInMesh(world, node) === undefined ? [] : [{ address, service, device, ports }];
  });
}
