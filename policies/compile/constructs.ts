import type { AllowStatement, Target } from '#policies/language/statement.ts';
import { evaluate, type Verdict } from '#policies/meaning/evaluate.ts';
import { type Packet, portsMatch } from '#policies/meaning/packet.ts';
import { subjectMatches, type World } from '#policies/meaning/world.ts';

/**
 * What a case exercised, so that a test can say that nothing was left out: who and what the deciding line named, and
 * which way the packet went. A document that merely contains a construct does not count for it.
 */
export function constructsOf(world: World, packet: Packet, verdict: Verdict, now: number): string[] {
  const line = decidingLine(world, packet, verdict, now);
  return [
    `phase ${packet.phase}`,
    `from ${packet.from.kind}`,
    `to ${packet.to.kind}`,
    `protocol ${packet.protocol}`,
    ...(packet.family === 6 ? ['IPv6'] : []),
    ...(verdict.verdict === 'denied' ? [`denied ${verdict.because}`, ...(verdict.reset ? ['reset'] : [])] : []),
    ...(verdict.verdict === 'untouched' ? ['untouched'] : []),
    ...(verdict.verdict === 'allowed' ? allowedConstructs(world, packet, verdict) : []),
    ...(line === undefined ? [] : lineConstructs(world, packet, line)),
  ];
}

function allowedConstructs(world: World, packet: Packet, verdict: Extract<Verdict, { verdict: 'allowed' }>): string[] {
  const { by, masquerade, redirectedTo } = verdict;
  const network = packet.to.kind === 'interface' ? world.subnets.networkOf(packet.destination) : undefined;
  const vpnOnly = by.kind === 'line' && world.vpnOnly.some(({ line }) => line === by.line);
  return [
    `by ${vpnOnly ? 'vpn-only' : by.kind}`,
    ...(redirectedTo === undefined ? [] : ['a front leads on']),
    ...(network === undefined || by.kind !== 'line' ? [] : [masquerade ? 'nat' : 'no-nat']),
    ...(network !== undefined && world.subnets.around(network.cidr.value) !== undefined
      ? ['a network inside another']
      : []),
    ...(network !== undefined && network.gateways.length > 1 ? ['two gateways'] : []),
  ];
}

function decidingLine(world: World, packet: Packet, verdict: Verdict, now: number): AllowStatement | undefined {
  const deciding =
    verdict.verdict === 'allowed' && verdict.by.kind === 'reply'
      ? evaluate(world, { ...packet, phase: 'further' }, now)
      : verdict;
  const number =
    deciding.verdict === 'allowed' && deciding.by.kind === 'line'
      ? deciding.by.line
      : deciding.verdict === 'denied'
        ? deciding.line
        : undefined;
  return world.allows.find(({ line }) => line === number);
}

function lineConstructs(world: World, packet: Packet, allow: AllowStatement): string[] {
  const device = world.devices.get(packet.source);
  const subjects = device === undefined ? [] : allow.subjects.filter(({ value }) => subjectMatches(value, device));
  const own = new Set(world.roster.users.filter(({ email }) => email === device?.email).map(({ role }) => role));
  const port = allow.ports.map(({ value }) => value).find((one) => portsMatch([one], packet));
  return [
    ...subjects.map(({ value }) => `subject ${value.kind}`),
    ...subjects.flatMap(({ value }) => (value.kind === 'role' && !own.has(value.role) ? ['a role included'] : [])),
    ...allow.targets.map(({ value }) => targetConstruct(world, value)),
    ...(allow.subjects.length > 1 ? ['two subjects'] : []),
    ...(allow.targets.length > 1 ? ['two targets'] : []),
    ...(allow.until === undefined ? [] : ['until']),
    port === undefined
      ? 'every port'
      : port.protocol === 'icmp'
        ? 'icmp'
        : port.first === port.last
          ? `port ${port.protocol}`
          : `range ${port.protocol}`,
  ];
}

function targetConstruct(world: World, target: Target): string {
  const service = target.kind === 'named' ? world.services.get(target.name) : undefined;
  if (service !== undefined) return service.front === undefined ? 'target service' : 'target front';
  return target.kind === 'named' ? 'target network' : `target ${target.kind}`;
}

/** Every construct that a run of the property must have met often. */
export const constructs: readonly string[] = [
  ...['first', 'further', 'reply', 'error', 'stray'].map((phase) => `phase ${phase}`),
  ...['tunnel', 'interface', 'node'].map((from) => `from ${from}`),
  ...['tunnel', 'interface', 'node', 'published'].map((to) => `to ${to}`),
  ...['tcp', 'udp', 'icmp', 'other'].map((protocol) => `protocol ${protocol}`),
  ...['everyone', 'role', 'user', 'device'].map((subject) => `subject ${subject}`),
  ...['network', 'service', 'front', 'literal', 'devices', 'nodes'].map((target) => `target ${target}`),
  ...['port tcp', 'port udp', 'range tcp', 'range udp', 'icmp', 'every port', 'until', 'two subjects', 'two targets'],
  ...['by line', 'by reply', 'by plumbing', 'by vpn-only', 'untouched', 'reset', 'IPv6'],
  ...['a role included', 'a network inside another', 'two gateways', 'nat', 'no-nat', 'a front leads on'],
  ...['ipv6-inside', 'not-a-device', 'no-such-device', 'no-grant', 'run-out', 'no-way-here', 'no-known-flow'].map(
    (because) => `denied ${because}`,
  ),
  ...['begun-outside', 'vpn-only', 'front-outside-tunnel'].map((because) => `denied ${because}`),
];
