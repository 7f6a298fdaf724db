import type { Preset } from '#contract/places.ts';
import type { Place } from './diagnostic.ts';

/** The statements of a policy as values. Every value that can be wrong knows where it stands. */

export interface At<T> extends Place {
  readonly value: T;
}

/** A protocol and a range of destination ports, ends included. `icmp` is the echo request, known as ping. */
export type Port =
  | { readonly protocol: 'tcp' | 'udp'; readonly first: number; readonly last: number }
  | { readonly protocol: 'icmp' };

export type Subject =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'role'; readonly role: string }
  | { readonly kind: 'user'; readonly email: string }
  | { readonly kind: 'device'; readonly email: string; readonly device: string };

/** `named` is a network or a service; `literal` an address (then /32) or a subnet. */
export type Target =
  | { readonly kind: 'devices' }
  | { readonly kind: 'nodes' }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'literal'; readonly cidr: string };

/** `at` is the first moment the grant no longer holds, in Unix milliseconds; `written` as in the document. */
export interface Until {
  readonly at: number;
  readonly written: string;
}

export interface RoleStatement {
  readonly kind: 'role';
  readonly line: number;
  readonly name: At<string>;
  readonly includes: readonly At<string>[];
}

export interface GatewayPlace {
  readonly node: At<string>;
  readonly device: At<string>;
}

export interface NetworkStatement {
  readonly kind: 'network';
  readonly line: number;
  readonly name: At<string>;
  readonly cidr: At<string>;
  readonly gateways: readonly GatewayPlace[];
  readonly nat: boolean;
}

/**
 * With `front` the first port is the backend's, and devices see tcp/443 in its stead. `preset` is the program that the
 * front speaks to, where it wants more than others.
 */
export interface ServiceStatement {
  readonly kind: 'service';
  readonly line: number;
  readonly name: At<string>;
  readonly address: At<string>;
  readonly ports: readonly At<Port>[];
  readonly dnsName: At<string> | undefined;
  readonly front: At<'https'> | undefined;
  readonly preset: At<Preset> | undefined;
}

export interface AllowStatement {
  readonly kind: 'allow';
  readonly line: number;
  readonly subjects: readonly At<Subject>[];
  readonly targets: readonly At<Target>[];
  /** None means everything that travels in IP. */
  readonly ports: readonly At<Port>[];
  readonly until: At<Until> | undefined;
}

export interface VpnOnlyStatement {
  readonly kind: 'vpn-only';
  readonly line: number;
  readonly ports: readonly At<Extract<Port, { first: number }>>[];
  readonly node: At<string>;
  readonly device: At<string>;
  readonly force: boolean;
}

export interface TestStatement {
  readonly kind: 'test';
  readonly line: number;
  readonly subject: At<Subject>;
  readonly target: At<Target>;
  readonly port: At<Port> | undefined;
  readonly expected: 'allowed' | 'denied';
}

export type Statement =
  | RoleStatement
  | NetworkStatement
  | ServiceStatement
  | AllowStatement
  | VpnOnlyStatement
  | TestStatement;

/** One line of a document as it was written, and what it says. */
export interface Line {
  readonly number: number;
  readonly text: string;
  /** Absent on a blank line, a comment, and a line that could not be read. */
  readonly statement?: Statement;
  readonly comment?: string;
  /** Set on a line that could not be read. */
  readonly broken?: true;
  /** What could be read of a broken grant. Its names are checked; it opens nothing. */
  readonly partial?: AllowStatement;
  /** The name that a broken line was about to give, so that its uses are not reported as unknown too. */
  readonly declares?: { readonly kind: 'role' | 'network' | 'service'; readonly name: string };
}

export interface Document {
  readonly lines: readonly Line[];
}

export function statementsOf<K extends Statement['kind']>(
  document: Document,
  kind: K,
): Extract<Statement, { kind: K }>[] {
  return document.lines.flatMap(({ statement }) =>
    statement?.kind === kind ? [statement as Extract<Statement, { kind: K }>] : [],
  );
}

/** The ports under which devices see a service: a front answers tcp/443 in the place of the backend's first port. */
export function visiblePorts(service: ServiceStatement): readonly Port[] {
  const ports = service.ports.map(({ value }) => value);
  return service.front === undefined ? ports : [frontPort, ...ports.slice(1)];
}

export const frontPort = { protocol: 'tcp', first: 443, last: 443 } as const satisfies Port;

/** Where a front answers that it is to be asked by HTTPS: with what is granted there goes this, unless it is a port of the backend's. */
export const plainPort: Port = { protocol: 'tcp', first: 80, last: 80 };

export function answersPlainly(service: ServiceStatement): boolean {
  return !visiblePorts(service).some((port) => portsOverlap(port, plainPort));
}

/** Whether every packet of `inner` is one of `outer`. */
export function portContains(outer: Port, inner: Port): boolean {
  if (outer.protocol === 'icmp' || inner.protocol === 'icmp') return outer.protocol === inner.protocol;
  return outer.protocol === inner.protocol && outer.first <= inner.first && outer.last >= inner.last;
}

export function portsOverlap(a: Port, b: Port): boolean {
  if (a.protocol === 'icmp' || b.protocol === 'icmp') return a.protocol === b.protocol;
  return a.protocol === b.protocol && a.first <= b.last && b.first <= a.last;
}
