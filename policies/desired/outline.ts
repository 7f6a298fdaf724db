import type { Preset } from '#contract/places.ts';
import type { Gateway } from '#contract/policy.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import { type Document, type Subject, statementsOf } from '#policies/language/statement.ts';
import { writtenPort } from '#policies/language/values.ts';
import { type Grant, type Grants, grantsOf } from '#policies/meaning/networks.ts';
import { resolve } from '#policies/meaning/world.ts';

/**
 * What the master needs of a document between two changes of it: plain data, so that it can be made in one thread and
 * used in another. Reading a long document takes a while; this is what was read.
 */
export interface Outline {
  /** Each role with all it includes, however deep, itself first. */
  readonly roles: readonly { readonly name: string; readonly includes: readonly string[] }[];
  readonly networks: readonly NetworkOutline[];
  readonly services: readonly ServiceOutline[];
  readonly closedPorts: readonly ClosedPort[];
  readonly grants: Grants;
  /** When grants end (Unix milliseconds), rising. */
  readonly ends: readonly { readonly at: number; readonly line: number }[];
  /** The e-mail addresses in it. */
  readonly people: readonly string[];
}

export interface NetworkOutline {
  readonly name: string;
  readonly cidr: string;
  readonly gateways: readonly Gateway[];
  readonly nat: boolean;
  readonly line: number;
}

/** `ports` as they are written: with a front, the first is the backend's. */
export interface ServiceOutline {
  readonly name: string;
  readonly address: string;
  readonly ports: readonly string[];
  readonly dnsName: string | null;
  readonly front: 'https' | null;
  readonly preset: Preset | null;
  readonly line: number;
}

export interface ClosedPort {
  readonly node: string;
  readonly device: string;
  readonly port: string;
  readonly line: number;
}

/** The outline of a checked document. */
export function outlineOf(document: Document): Outline {
  const world = resolve(document, { pool: '255.255.255.255/32', users: [], devices: [], nodes: [], fronts: [] });
  const subjects = [
    ...world.allows.flatMap((allow) => allow.subjects.map(({ value }) => value)),
    ...statementsOf(document, 'test').map(({ subject }) => subject.value),
  ];
  return {
    roles: statementsOf(document, 'role').map(({ name }) => ({
      name: name.value,
      includes: [...world.rolesOf(name.value)],
    })),
    networks: [...world.networks.values()].map(({ name, cidr, gateways, nat, line }) => ({
      name: name.value,
      cidr: cidr.value,
      gateways: gateways.map(({ node, device }) => ({ node: node.value, device: device.value })),
      nat,
      line,
    })),
    services: [...world.services.values()].map(({ name, address, ports, dnsName, front, preset, line }) => ({
      name: name.value,
      address: address.value,
      ports: ports.map(({ value }) => writtenPort(value)),
      dnsName: dnsName?.value ?? null,
      front: front?.value ?? null,
      preset: preset?.value ?? null,
      line,
    })),
    closedPorts: world.vpnOnly.flatMap(({ node, device, ports, line }) =>
      ports.map(({ value }) => ({ node: node.value, device: device.value, port: writtenPort(value), line })),
    ),
    grants: grantsOf(world),
    ends: world.allows
      .flatMap(({ until, line }) => (until === undefined ? [] : [{ at: until.value.at, line }]))
      .sort((a, b) => a.at - b.at),
    people: [...new Set(subjects.flatMap(emailOf))],
  };
}

/** An outline with its names looked up. */
export interface IndexedOutline extends Outline {
  readonly grantsBySubject: ReadonlyMap<string, readonly Grant[]>;
  /** A role the document does not name includes only itself, and no line can grant to it. */
  readonly rolesOf: (role: string) => ReadonlySet<string>;
}

export function indexed(outline: Outline): IndexedOutline {
  const roles = new Map(outline.roles.map(({ name, includes }) => [name, new Set(includes)]));
  return {
    ...outline,
    grantsBySubject: new Map(outline.grants),
    rolesOf: (role) => roles.get(role) ?? new Set([role]),
  };
}

/**
 * Which roles the document lets reach a whole network or a service now, in its order: by a line for the role, for one it
 * includes, or for everyone. Ports do not matter.
 */
export function rolesThatReach(outline: Outline, now: number): (place: NetworkOutline | ServiceOutline) => string[] {
  const reached = new Map<string, Set<string>>();
  for (const [subject, grants] of outline.grants)
    for (const { end, ways } of grants) {
      if (end !== null && end <= now) continue;
      for (const way of ways) {
        if (way.kind === 'devices') continue;
        const key = way.kind === 'front' ? way.service : `${way.network.name} ${way.network.cidr}`;
        const subjects = reached.get(key) ?? new Set();
        reached.set(key, subjects.add(subject));
      }
    }
  const everyone = writtenSubject({ kind: 'everyone' });
  return (place) => {
    const subjects = reached.get(keyOf(place)) ?? new Set();
    return outline.roles
      .filter(({ includes }) => subjects.has(everyone) || includes.some((role) => subjects.has(role)))
      .map(({ name }) => name);
  };
}

function keyOf(place: NetworkOutline | ServiceOutline): string {
  if ('cidr' in place) return `${place.name} ${place.cidr}`;
  return place.front === null ? `${place.name} ${place.address}/32` : place.name;
}

/** The moment after `after` at which the next grant ends, in Unix milliseconds. */
export function nextEnd({ ends }: Pick<Outline, 'ends'>, after: number): number | undefined {
  return ends.find(({ at }) => at > after)?.at;
}

/** The lines whose statements name a node: it cannot go while they stand. */
export function linesNaming({ networks, closedPorts }: Outline, node: string): number[] {
  const lines = [
    ...networks.filter(({ gateways }) => gateways.some((gateway) => gateway.node === node)),
    ...closedPorts.filter((closed) => closed.node === node),
  ].map(({ line }) => line);
  return [...new Set(lines)].sort((a, b) => a - b);
}

function emailOf(subject: Subject): string[] {
  return subject.kind === 'user' || subject.kind === 'device' ? [subject.email] : [];
}
