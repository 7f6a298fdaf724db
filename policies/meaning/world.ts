import type { Cidr, Ipv4 } from '#contract/network.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import { NetworkIndex } from '#policies/language/network-index.ts';
import {
  type AllowStatement,
  type Document,
  type NetworkStatement,
  type RoleStatement,
  type ServiceStatement,
  type Subject,
  statementsOf,
  type VpnOnlyStatement,
} from '#policies/language/statement.ts';
import { type Plumbing, plumbingOf } from './plumbing.ts';
import type { PolicyRoster } from './roster.ts';

/** Someone who could be allowed something: a device, or a user or role asked about without one. */
export interface Principal {
  readonly email?: string;
  readonly device?: string;
  /** The role and all it includes. */
  readonly roles: ReadonlySet<string>;
}

/** A document and a roster, with every name looked up. */
export interface World {
  readonly document: Document;
  readonly roster: PolicyRoster;
  readonly networks: ReadonlyMap<string, NetworkStatement>;
  readonly services: ReadonlyMap<string, ServiceStatement>;
  readonly subnets: NetworkIndex<NetworkStatement>;
  /** The networks right inside a network, by its name. */
  readonly inside: ReadonlyMap<string, readonly NetworkStatement[]>;
  readonly allows: readonly AllowStatement[];
  /** The same by the spelling of each subject they name. */
  readonly allowsBySubject: ReadonlyMap<string, readonly AllowStatement[]>;
  readonly vpnOnly: readonly VpnOnlyStatement[];
  readonly plumbing: readonly Plumbing[];
  /** The devices by their address inside the tunnel. */
  readonly devices: ReadonlyMap<Ipv4, Principal>;
  /** The fronted services that have an address, by it. */
  readonly fronts: ReadonlyMap<Ipv4, ServiceStatement>;
  readonly frontAddresses: ReadonlyMap<string, Ipv4>;
  readonly rolesOf: (role: string) => ReadonlySet<string>;
}

/** A node's place in the mesh of all nodes; undefined for one that is alone. */
export function placeInMesh(
  { roster }: Pick<World, 'roster'>,
  name: string,
): { address: Ipv4; cidr: Cidr } | undefined {
  const address = roster.nodes.find((node) => node.name === name)?.mesh?.address;
  return address === undefined || roster.mesh === undefined ? undefined : { address, cidr: roster.mesh.cidr };
}

/** Puts a checked document and a roster together. */
export function resolve(document: Document, roster: PolicyRoster): World {
  const networks = new Map(statementsOf(document, 'network').map((network) => [network.name.value, network]));
  const services = new Map(statementsOf(document, 'service').map((service) => [service.name.value, service]));
  const subnets = new NetworkIndex<NetworkStatement>();
  for (const network of networks.values()) subnets.add(network.cidr.value, network);
  const inside = new Map<string, NetworkStatement[]>();
  for (const network of networks.values()) {
    const around = subnets.around(network.cidr.value)?.name.value;
    if (around !== undefined) inside.set(around, [...(inside.get(around) ?? []), network]);
  }

  const rolesOf = includedRoles(statementsOf(document, 'role'));
  const users = new Map(roster.users.map((user) => [user.id, user]));
  const devices = new Map<Ipv4, Principal>();
  for (const { address, name, userId } of roster.devices) {
    const user = users.get(userId);
    if (user !== undefined) devices.set(address, { email: user.email, device: name, roles: rolesOf(user.role) });
  }

  const allows = statementsOf(document, 'allow');
  const allowsBySubject = new Map<string, AllowStatement[]>();
  for (const allow of allows)
    for (const name of new Set(allow.subjects.map(({ value }) => writtenSubject(value)))) {
      const lines = allowsBySubject.get(name);
      if (lines === undefined) allowsBySubject.set(name, [allow]);
      else lines.push(allow);
    }

  const fronts = new Map<Ipv4, ServiceStatement>();
  for (const { service, address } of roster.fronts) {
    const statement = services.get(service);
    if (statement?.front !== undefined) fronts.set(address, statement);
  }
  return {
    document,
    roster,
    networks,
    services,
    subnets,
    inside,
    allows,
    allowsBySubject,
    vpnOnly: statementsOf(document, 'vpn-only'),
    plumbing: plumbingOf(roster),
    devices,
    fronts,
    frontAddresses: new Map([...fronts].map(([address, service]) => [service.name.value, address])),
    rolesOf,
  };
}

export function subjectMatches(subject: Subject, principal: Principal): boolean {
  switch (subject.kind) {
    case 'everyone':
      return true;
    case 'role':
      return principal.roles.has(subject.role);
    case 'user':
      return subject.email === principal.email;
    case 'device':
      return subject.email === principal.email && subject.device === principal.device;
  }
}

/** Everything a line may call a principal by. */
export function subjectsOf({ email, device, roles }: Principal): Subject[] {
  return [
    { kind: 'everyone' },
    ...[...roles].map((role) => ({ kind: 'role', role }) as const),
    ...(email === undefined ? [] : [{ kind: 'user', email } as const]),
    ...(email === undefined || device === undefined ? [] : [{ kind: 'device', email, device } as const]),
  ];
}

/** The lines that name a principal in any way, in the order of the document. */
export function allowsFor({ allowsBySubject }: Pick<World, 'allowsBySubject'>, principal: Principal): AllowStatement[] {
  const subjects = subjectsOf(principal);
  const lines = new Set(subjects.flatMap((subject) => allowsBySubject.get(writtenSubject(subject)) ?? []));
  return [...lines].sort((a, b) => a.line - b.line);
}

/** The one a subject is asked about as: a role as a user who has nothing else, a user without any single device's grants. */
export function principalOf(world: World, subject: Subject): Principal | undefined {
  if (subject.kind === 'everyone') return { roles: new Set() };
  if (subject.kind === 'role') return { roles: world.rolesOf(subject.role) };
  const user = world.roster.users.find(({ email }) => email === subject.email);
  if (user === undefined) return undefined;
  const principal = { email: user.email, roles: world.rolesOf(user.role) };
  return subject.kind === 'user' ? principal : { ...principal, device: subject.device };
}

/** A role the document does not name includes only itself, and no line can grant to it. */
function includedRoles(statements: readonly RoleStatement[]): (role: string) => ReadonlySet<string> {
  const includes = new Map(statements.map(({ name, includes }) => [name.value, includes.map(({ value }) => value)]));
  const known = new Map<string, ReadonlySet<string>>();
  return (role) => {
    const before = known.get(role);
    if (before !== undefined) return before;
    const included = new Set<string>();
    const waiting = [role];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (included.has(next)) continue;
      included.add(next);
      waiting.push(...(includes.get(next) ?? []));
    }
    known.set(role, included);
    return included;
  };
}
