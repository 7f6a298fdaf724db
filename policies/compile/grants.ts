import type { Cidr } from '#contract/network.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import {
  type AllowStatement,
  answersPlainly,
  frontPort,
  type NetworkStatement,
  type Port,
  plainPort,
  portContains,
  type ServiceStatement,
  type Subject,
  visiblePorts,
} from '#policies/language/statement.ts';
import { writtenPort } from '#policies/language/values.ts';
import { ownRegion, partsOf } from '#policies/meaning/access.ts';
import { type Region, regionOf, union } from '#policies/meaning/region.ts';
import type { World } from '#policies/meaning/world.ts';

/**
 * Grants of one node, put together until each distinct (who, where, ports) stands once: one rule serves all lines that
 * mean it, so the rules grow with what the document says and never with the number of devices.
 */
export interface Grant {
  readonly place: Place;
  /** None means everything that travels in IP. */
  readonly ports: readonly Port[];
  /** By its spelling; `until` is the latest of all lines, absent when one has no end. */
  readonly subjects: ReadonlyMap<string, Grantee>;
  readonly lines: readonly number[];
}

export interface Grantee {
  readonly subject: Subject;
  readonly until?: number;
}

export type Place =
  | { readonly kind: 'devices' }
  | { readonly kind: 'nodes' }
  /** Addresses that are reached out of one interface of this node. */
  | { readonly kind: 'network'; readonly device: string; readonly region: Region }
  /** The front's own port, answered by the node that holds the address. */
  | { readonly kind: 'front'; readonly services: readonly string[] }
  /** A front's other ports, which lead on to the backend. */
  | { readonly kind: 'backend'; readonly service: ServiceStatement; readonly device: string };

interface Draft {
  readonly key: string;
  readonly place: Place;
  readonly ports: readonly Port[];
  readonly subjects: Map<string, Grantee>;
  readonly lines: Set<number>;
}

/** The grants of a node, in the order of the document. Depends on the document alone, never on users and devices. */
export function grantsOf(world: World, node: string, mesh: string): Grant[] {
  const drafts = new Map<string, Draft>();
  for (const allow of world.allows)
    for (const { key, place, ports } of placesOf(world, allow, { node, mesh })) {
      const id = `${key} ${spelled(ports)}`;
      const draft = drafts.get(id) ?? { key, place, ports, subjects: new Map(), lines: new Set() };
      addSubjects(draft, allow);
      drafts.set(id, draft);
    }
  return merged([...drafts.values()]);
}

/** Where an `until` anywhere in the document makes answers be judged too. */
export interface Timed {
  /** By interface. */
  readonly regions: ReadonlyMap<string, Region>;
  readonly services: ReadonlySet<string>;
  readonly devices: boolean;
  readonly nodes: boolean;
}

export function timedPlaces(world: World, node: string, mesh: string): Timed | undefined {
  const timed = world.allows.filter(({ until }) => until !== undefined);
  if (timed.length === 0) return undefined;
  const places = timed
    .flatMap((allow) => placesOf(world, { ...allow, ports: [] }, { node, mesh }))
    .map(({ place }) => place);
  const regions = new Map<string, Region>();
  for (const place of places)
    if (place.kind === 'network') regions.set(place.device, union(regions.get(place.device) ?? [], place.region));
  return {
    regions,
    services: new Set(places.flatMap((place) => (place.kind === 'backend' ? [place.service.name.value] : []))),
    devices: places.some(({ kind }) => kind === 'devices'),
    nodes: places.some(({ kind }) => kind === 'nodes'),
  };
}

interface PlaceAndPorts {
  readonly key: string;
  readonly place: Place;
  readonly ports: readonly Port[];
}

/** A node, and its interface to the others: by that goes what it does not lead to itself. */
interface Here {
  readonly node: string;
  readonly mesh: string;
}

function placesOf(world: World, allow: AllowStatement, here: Here): PlaceAndPorts[] {
  const ports = allow.ports.map(({ value }) => value);
  return allow.targets.flatMap(({ value }): PlaceAndPorts[] => {
    if (value.kind === 'devices' || value.kind === 'nodes')
      return [{ key: value.kind, place: { kind: value.kind }, ports }];
    if (value.kind === 'literal')
      return partsOf(world, value.cidr).flatMap(({ network, region }) =>
        inNetwork(`${value.cidr} ${network.name.value}`, network, here, region, ports),
      );
    const network = world.networks.get(value.name);
    if (network !== undefined) return inNetwork(value.name, network, here, ownRegion(world, network), ports);
    const service = world.services.get(value.name);
    return service === undefined ? [] : ofService(world, service, here, ports);
  });
}

function ofService(world: World, service: ServiceStatement, here: Here, ports: readonly Port[]): PlaceAndPorts[] {
  const name = service.name.value;
  const visible = visiblePorts(service);
  const opened = ports.length === 0 ? visible : ports;
  const network = world.subnets.networkOf(service.address.value);
  if (network === undefined) return [];
  if (service.front === undefined) {
    const cidr: Cidr = `${service.address.value}/32`;
    return inNetwork(`${cidr} ${network.name.value}`, network, here, regionOf([cidr]), opened);
  }
  const front = opened.filter((port) => portContains(frontPort, port));
  const others = opened.filter((port) => !portContains(frontPort, port));
  const device = deviceTowards(network, here);
  return [
    ...(front.length === 0
      ? []
      : [
          {
            key: `front ${name}`,
            place: { kind: 'front', services: [name] } as const,
            ports: answersPlainly(service) ? [...front, plainPort] : front,
          },
        ]),
    ...(others.length === 0
      ? []
      : [{ key: `backend ${name}`, place: { kind: 'backend', service, device } as const, ports: others }]),
  ];
}

function inNetwork(
  key: string,
  network: NetworkStatement,
  here: Here,
  region: Region,
  ports: readonly Port[],
): PlaceAndPorts[] {
  if (region.length === 0) return [];
  return [{ key: `network ${key}`, place: { kind: 'network', device: deviceTowards(network, here), region }, ports }];
}

/** The interface by which a packet to a network leaves this node. Follows from the document alone. */
export function deviceTowards(network: NetworkStatement, { node, mesh }: Here): string {
  return gatewayDevice(network, node) ?? mesh;
}

/** The interface of this node a network lies behind; undefined: this node does not lead there. */
export function gatewayDevice(network: NetworkStatement, node: string): string | undefined {
  return network.gateways.find((gateway) => gateway.node.value === node)?.device.value;
}

function addSubjects(draft: Draft, { subjects, until, line }: AllowStatement): void {
  draft.lines.add(line);
  for (const { value: subject } of subjects) {
    const name = writtenSubject(subject);
    const known = draft.subjects.get(name);
    const endless = until === undefined || (known !== undefined && known.until === undefined);
    if (endless) draft.subjects.set(name, { subject });
    else draft.subjects.set(name, { subject, until: Math.max(until.value.at, known?.until ?? 0) });
  }
}

/** Places that the same people reach on the same ports become one. */
function merged(drafts: readonly Draft[]): Grant[] {
  const grants = new Map<string, Draft>();
  for (const draft of drafts) {
    const { place, ports, subjects, lines } = draft;
    const who = [...subjects].map(([name, { until }]) => `${name} ${until ?? ''}`).sort();
    const where = place.kind === 'network' ? `network ${place.device}` : place.kind === 'front' ? 'front' : draft.key;
    const id = JSON.stringify([where, spelled(ports), who]);
    const known = grants.get(id);
    if (known === undefined) grants.set(id, draft);
    else grants.set(id, { ...known, place: together(known.place, place), lines: new Set([...known.lines, ...lines]) });
  }
  return [...grants.values()].map(({ place, ports, subjects, lines }) => ({
    place,
    ports: [...new Map(ports.map((port) => [writtenPort(port), port])).values()],
    subjects,
    lines: [...lines].sort((a, b) => a - b),
  }));
}

function together(a: Place, b: Place): Place {
  if (a.kind === 'network' && b.kind === 'network') return { ...a, region: union(a.region, b.region) };
  if (a.kind === 'front' && b.kind === 'front') return { ...a, services: [...new Set([...a.services, ...b.services])] };
  return a;
}

function spelled(ports: readonly Port[]): string {
  return [...new Set(ports.map(writtenPort))].sort().join(' ');
}
