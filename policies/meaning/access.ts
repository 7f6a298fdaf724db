import type { Cidr } from '#contract/network.ts';
import {
  type AllowStatement,
  frontPort,
  type NetworkStatement,
  type Port,
  type ServiceStatement,
  type Target,
  visiblePorts,
} from '#policies/language/statement.ts';
import type { Box, Interval } from './boxes.ts';
import { intersection, type Region, regionOf, without } from './region.ts';
import { allowsFor, type Principal, type World } from './world.ts';

/** Something a principal may reach, and the line that says so; no line: it is the nodes' plumbing. */
export interface Access {
  readonly box: Box;
  readonly target: Target;
  readonly line?: number;
}

/** All that a principal may reach from `now` on, line by line. */
export function accessOf(world: World, principal: Principal, now: number): Access[] {
  return [...openToAll(world), ...allowsFor(world, principal).flatMap((allow) => accessByLine(world, allow, now))];
}

/** What every device may reach without an `allow` line. */
export function openToAll(world: World): Access[] {
  const target: Target = { kind: 'nodes' };
  return [
    ...world.plumbing.flatMap(({ port, node }) =>
      nodeBoxes(world, [port], Infinity, node).map((box): Access => ({ box, target })),
    ),
    ...world.vpnOnly.flatMap(({ line, node, ports }) => {
      const closed = ports.map(({ value }) => value);
      return nodeBoxes(world, closed, Infinity, node.value).map((box): Access => ({ box, target, line }));
    }),
  ];
}

/** What one line opens from `now` on. */
export function accessByLine(world: World, allow: AllowStatement, now: number): Access[] {
  const end = allow.until?.value.at ?? Infinity;
  if (end <= now) return [];
  const ports = allow.ports.map(({ value }) => value);
  return allow.targets.flatMap(({ value: target }) =>
    boxesOf(world, target, ports, end - 1).map((box) => ({ box, target, line: allow.line })),
  );
}

/** What a target holds on these ports; none means all it has. `last` is the last moment of it. */
export function boxesOf(world: World, target: Target, ports: readonly Port[], last = Infinity): Box[] {
  switch (target.kind) {
    case 'devices':
      return whole('devices', ports, last);
    case 'nodes':
      return nodeBoxes(world, ports, last);
    case 'literal':
      return inRegion(regionOf([target.cidr]), ports, last);
    case 'named': {
      const service = world.services.get(target.name);
      if (service !== undefined) return serviceBoxes(service, ports.length === 0 ? visiblePorts(service) : ports, last);
      const network = world.networks.get(target.name);
      return network === undefined ? [] : inRegion(ownRegion(world, network), ports, last);
    }
  }
}

/** The addresses that belong to a network: its subnet without the networks inside it. */
export function ownRegion({ inside }: Pick<World, 'inside'>, network: NetworkStatement): Region {
  const holes = inside.get(network.name.value) ?? [];
  return without(regionOf([network.cidr.value]), regionOf(holes.map(({ cidr }) => cidr.value)));
}

/** Where a literal leads: the parts of it that belong to each network it touches. It lies in one network as a whole. */
export function partsOf(
  world: Pick<World, 'inside' | 'subnets'>,
  cidr: Cidr,
): { network: NetworkStatement; region: Region }[] {
  const wanted = regionOf([cidr]);
  const holder = world.subnets.holderOf(cidr);
  const waiting = holder === undefined ? [] : [holder];
  const parts: { network: NetworkStatement; region: Region }[] = [];
  for (let network = waiting.shift(); network !== undefined; network = waiting.shift()) {
    if (intersection(regionOf([network.cidr.value]), wanted).length === 0) continue;
    const region = intersection(ownRegion(world, network), wanted);
    if (region.length > 0) parts.push({ network, region });
    waiting.push(...(world.inside.get(network.name.value) ?? []));
  }
  return parts;
}

/** Ports and protocols on one line: tcp, then udp, then the echo request, then everything else that travels in IP. */
const udpFrom = 65_536;
const icmpAt = 131_072;
const restAt = 131_073;
export const everyPort: Interval = [0, restAt];

export function portInterval(port: Port): Interval {
  if (port.protocol === 'icmp') return [icmpAt, icmpAt];
  const shift = port.protocol === 'udp' ? udpFrom : 0;
  return [port.first + shift, port.last + shift];
}

/** An interval in the spelling of the language; a part that has no spelling is `other protocols`. */
export function writtenInterval([first, last]: Interval): string[] {
  if (first === 0 && last === restAt) return ['every port'];
  const parts: string[] = [];
  const range = (protocol: string, from: number) => {
    const [a, b] = [Math.max(first - from, 1), Math.min(last - from, 65_535)];
    if (a <= b)
      parts.push(a === 1 && b === 65_535 ? `every ${protocol} port` : `${protocol}/${a}${a === b ? '' : `-${b}`}`);
  };
  range('tcp', 0);
  range('udp', udpFrom);
  if (first <= icmpAt && last >= icmpAt) parts.push('icmp');
  if (last >= restAt) parts.push('other protocols');
  return parts;
}

function serviceBoxes(service: ServiceStatement, ports: readonly Port[], last: number): Box[] {
  const { name, address, ports: own, front } = service;
  if (front !== undefined)
    return whole(`front:${name.value} ${address.value} ${portInterval(own[0]?.value ?? frontPort)}`, ports, last);
  return inRegion(regionOf([`${service.address.value}/32`]), ports, last);
}

function nodeBoxes(world: World, ports: readonly Port[], last: number, only?: string): Box[] {
  return world.roster.nodes
    .filter(({ name }) => only === undefined || name === only)
    .flatMap(({ name }) => whole(`node:${name}`, ports, last));
}

function inRegion(region: Region, ports: readonly Port[], last: number): Box[] {
  return region.flatMap((addresses) => withPorts('network', addresses, ports, last));
}

function whole(place: string, ports: readonly Port[], last: number): Box[] {
  return withPorts(place, [0, 0], ports, last);
}

function withPorts(place: string, addresses: Interval, ports: readonly Port[], last: number): Box[] {
  const intervals = ports.length === 0 ? [everyPort] : ports.map(portInterval);
  return intervals.map((interval) => ({ place, addresses, ports: interval, time: [0, last] }));
}
