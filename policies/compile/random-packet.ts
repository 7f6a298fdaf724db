import { cidrContains, cidrRange, numberToIpv4 } from '#contract/network.ts';
import { type AllowStatement, type Port, type Target, visiblePorts } from '#policies/language/statement.ts';
import type { Packet } from '#policies/meaning/packet.ts';
import { subjectMatches, type World } from '#policies/meaning/world.ts';
import type { Dice } from './dice.ts';
import { type Host, hostOf } from './traverse.ts';

/** A packet on a host, most of them aimed at a line of the document, and then perhaps a little beside it. */
export interface Case {
  readonly packet: Packet;
  readonly host: Host;
}

const nodes = ['n1', 'n2'] as const;

export function randomCase(dice: Dice, world: World): Case {
  const node = dice.pick(nodes);
  const published = dice.chance(40) ? dice.some(publishable, 1) : [];
  const host = hostOf(world, node, published);
  const packet = dice.chance(80) ? fromDevice(dice, world, node, host) : fromElsewhere(dice, world, node, host);
  const inIpv6 = dice.chance(2) && !world.fronts.has(packet.destination);
  return { packet: inIpv6 ? { ...packet, family: 6 } : packet, host };
}

const publishable = [
  { protocol: 'tcp', port: 5432 },
  { protocol: 'tcp', port: 22 },
  { protocol: 'udp', port: 53 },
  { protocol: 'tcp', port: 80 },
] as const;

type Aim = Pick<Packet, 'source' | 'destination' | 'protocol' | 'port' | 'icmpType'>;

function fromDevice(dice: Dice, world: World, node: string, host: Host): Packet {
  const aim = dice.chance(6)
    ? atClosed(dice, world, node)
    : dice.chance(85)
      ? aimed(dice, world, node)
      : anyAim(dice, world, node);
  const missed = dice.chance(30) ? beside(dice, world, aim) : aim;
  const active = dice.chance(80);
  return {
    node,
    family: 4,
    from: { kind: 'tunnel' },
    to: wayTo(dice, world, node, host, missed, active),
    ...missed,
    phase: dice.pick(['first', 'first', 'further', 'further', 'reply', 'reply', 'stray', 'error']),
  };
}

/** At what a line opens, from a device it opens it to. */
function aimed(dice: Dice, world: World, node: string): Aim {
  const here = world.allows.filter(({ targets }) => targets.some(({ value }) => leadsHere(world, value, node)));
  if (here.length === 0) return anyAim(dice, world, node);
  const allow = dice.pick(here);
  const target = dice.pick(allow.targets.map(({ value }) => value).filter((value) => leadsHere(world, value, node)));
  const subjects = [...world.devices].filter(([, device]) =>
    allow.subjects.some(({ value }) => subjectMatches(value, device)),
  );
  const [source] = dice.pick(subjects.length > 0 ? subjects : [...world.devices]);
  return { source, ...destinationOf(dice, world, target, allow, node) };
}

/** At a port that is closed to the public on this node. */
function atClosed(dice: Dice, world: World, node: string): Aim {
  const closed = closedPorts(world, node);
  if (closed.length === 0) return anyAim(dice, world, node);
  const source = dice.pick([...world.devices.keys()]);
  return { source, destination: nodeAddress(dice, world, node), ...trafficOn(dice, dice.pick(closed).port) };
}

function closedPorts(world: World, node: string) {
  return world.vpnOnly
    .filter((statement) => statement.node.value === node)
    .flatMap(({ ports, device }) => ports.map(({ value }) => ({ port: value, device: device.value })));
}

function leadsHere(world: World, target: Target, node: string): boolean {
  if (target.kind === 'devices' || target.kind === 'nodes') return true;
  const service = target.kind === 'named' ? world.services.get(target.name) : undefined;
  if (service?.front !== undefined) return world.frontAddresses.has(service.name.value);
  const cidr =
    target.kind === 'literal'
      ? target.cidr
      : service === undefined
        ? world.networks.get(target.name)?.cidr.value
        : `${service.address.value}/32`;
  const network = cidr === undefined ? undefined : world.subnets.holderOf(cidr);
  return network?.gateways.some((gateway) => gateway.node.value === node) ?? false;
}

function destinationOf(
  dice: Dice,
  world: World,
  target: Target,
  allow: AllowStatement,
  node: string,
): Omit<Aim, 'source'> {
  const service = target.kind === 'named' ? world.services.get(target.name) : undefined;
  const ports =
    allow.ports.length > 0 ? allow.ports.map(({ value }) => value) : service === undefined ? [] : visiblePorts(service);
  const traffic = ports.length === 0 ? anyTraffic(dice) : trafficOn(dice, dice.pick(ports));
  if (target.kind === 'devices') return { destination: dice.pick([...world.devices.keys()]), ...traffic };
  if (target.kind === 'nodes') return { destination: nodeAddress(dice, world, node), ...traffic };
  if (service !== undefined)
    return { destination: world.frontAddresses.get(service.name.value) ?? service.address.value, ...traffic };
  const cidr =
    target.kind === 'literal'
      ? target.cidr
      : (world.networks.get(target.kind === 'named' ? target.name : '')?.cidr.value ?? '10.1.0.0/16');
  return { destination: addressIn(dice, cidr), ...traffic };
}

function anyAim(dice: Dice, world: World, node: string): Aim {
  const destination = dice.pick([
    ...world.devices.keys(),
    ...world.fronts.keys(),
    ...[...world.services.values()].map(({ address }) => address.value),
    ...[...world.networks.values()].map(({ cidr }) => addressIn(dice, cidr.value)),
    nodeAddress(dice, world, node),
    '198.51.100.7',
    '10.91.70.70',
  ]);
  return { source: dice.pick([...world.devices.keys()]), destination, ...anyTraffic(dice) };
}

/** The same, but for one thing. */
function beside(dice: Dice, world: World, aim: Aim): Aim {
  switch (dice.roll(5)) {
    case 0:
      return { ...aim, source: dice.pick([...world.devices.keys()]) };
    case 1:
      return { ...aim, source: dice.pick(['10.91.65.99', '10.91.64.3', '198.51.100.9', aim.destination]) };
    case 2:
      return { ...aim, port: Math.min(65_535, Math.max(1, aim.port + dice.pick([-1, 1, 10, -10]))) };
    case 3:
      return { ...aim, ...anyTraffic(dice) };
    default:
      return { ...aim, destination: shifted(dice, aim.destination) };
  }
}

/** Where the node's own routes take it; now and then out by another interface than the document says. */
function wayTo(dice: Dice, world: World, node: string, host: Host, aim: Aim, active: boolean): Packet['to'] {
  const { destination, protocol, port } = aim;
  const local = isOwn(world, node, destination);
  if (world.fronts.has(destination)) return active ? { kind: 'node' } : { kind: 'tunnel' };
  if (local) {
    const published = host.published.some((one) => one.protocol === protocol && one.port === port);
    return { kind: published ? 'published' : 'node' };
  }
  if (cidrContains(world.roster.pool, destination)) return { kind: 'tunnel' };
  return { kind: 'interface', name: dice.chance(5) ? dice.pick(['br0', 'br1', 'eno1']) : host.routeTo(destination) };
}

const bridgeAddress = '172.31.255.1';

function isOwn(world: World, node: string, address: string): boolean {
  const own = world.roster.nodes.find(({ name }) => name === node)?.tunnelAddress;
  return [own, world.roster.vip, bridgeAddress, '192.0.2.1'].includes(address);
}

function nodeAddress(dice: Dice, world: World, node: string): string {
  const own = world.roster.nodes.find(({ name }) => name === node)?.tunnelAddress ?? bridgeAddress;
  return dice.pick([own, own, own, world.roster.vip ?? own, bridgeAddress, '192.0.2.1']);
}

/** Packets that do not begin in the tunnel. */
function fromElsewhere(dice: Dice, world: World, node: string, host: Host): Packet {
  const closed = closedPorts(world, node);
  const target = closed.length > 0 && dice.chance(60) ? dice.pick(closed) : undefined;
  const traffic = target === undefined || dice.chance(20) ? anyTraffic(dice) : trafficOn(dice, target.port);
  const interfaceName = target !== undefined && dice.chance(75) ? target.device : dice.pick(['eno1', 'eth1', 'br0']);
  const from = { kind: 'interface', name: interfaceName } as const;
  const base = { node, family: dice.chance(25) ? 6 : 4, ...traffic } as const;
  const phase = dice.pick(['first', 'first', 'further', 'reply', 'stray', 'error'] as const);
  const device = dice.pick([...world.devices.keys(), '10.91.65.99']);
  const published = host.published.some(({ protocol, port }) => protocol === traffic.protocol && port === traffic.port);
  const local = { kind: published ? 'published' : 'node' } as const;
  const stranger = '198.51.100.9';
  const [front = '192.0.2.1'] = world.fronts.keys();
  const inside = addressIn(dice, dice.pick([...world.networks.values()]).cidr.value);
  const fromInside = { kind: 'interface', name: host.routeTo(inside) } as const;
  switch (dice.roll(7)) {
    case 0:
      return {
        ...base,
        from: { kind: 'node' },
        to: { kind: 'tunnel' },
        source: nodeAddress(dice, world, node),
        destination: device,
        phase,
      };
    case 1:
      return {
        ...base,
        from: fromInside,
        to: { kind: 'tunnel' },
        source: inside,
        destination: device,
        phase: dice.pick(['first', 'reply', 'reply', phase]),
      };
    case 2:
      return {
        ...base,
        from,
        to: { kind: 'interface', name: dice.pick(['br0', 'br1']) },
        source: stranger,
        destination: '10.1.0.5',
        phase,
      };
    case 3:
      return {
        ...base,
        from,
        to: local,
        source: stranger,
        destination: front,
        phase,
      };
    default:
      return { ...base, from, to: local, source: stranger, destination: '192.0.2.1', phase };
  }
}

function trafficOn(dice: Dice, port: Port): Omit<Aim, 'source' | 'destination'> {
  if (port.protocol === 'icmp') return { protocol: 'icmp', port: 0, icmpType: 8 };
  const number = dice.pick([port.first, port.last, port.first + dice.roll(port.last - port.first + 1)]);
  return { protocol: port.protocol, port: number, icmpType: 0 };
}

function anyTraffic(dice: Dice): Omit<Aim, 'source' | 'destination'> {
  if (dice.chance(12)) return { protocol: 'icmp', port: 0, icmpType: dice.pick([8, 8, 13]) };
  if (dice.chance(5)) return { protocol: 'other', port: 0, icmpType: 0 };
  const port = dice.pick([443, 80, 8080, 22, 53, 5432, 8443, 51_830, 9005, 150]);
  return { protocol: dice.pick(['tcp', 'udp']), port, icmpType: 0 };
}

function addressIn(dice: Dice, cidr: string): string {
  const { first, last } = cidrRange(cidr);
  return numberToIpv4(
    dice.pick([first, last, first + dice.roll(last - first + 1), first + Math.min(20, last - first)]),
  );
}

function shifted(dice: Dice, address: string): string {
  const parts = address.split('.').map(Number);
  const at = dice.pick([2, 3, 3]);
  return parts.map((part, i) => (i === at ? (part + dice.pick([1, 255, 16])) % 256 : part)).join('.');
}
