import type { Diagnostic } from '#contract/diagnostic.ts';
import { errorAt } from './diagnostic.ts';
import { NetworkIndex } from './network-index.ts';
import {
  type At,
  type Document,
  type NetworkStatement,
  type RoleStatement,
  type ServiceStatement,
  statementsOf,
} from './statement.ts';
import { Suggester } from './suggest.ts';

/** The names a document gives, each at the first line that gives it. */
export class Declared {
  readonly roles = new Map<string, RoleStatement>();
  /** Networks and services are targets alike and share their names. */
  readonly networks = new Map<string, NetworkStatement>();
  readonly services = new Map<string, ServiceStatement>();
  readonly subnets = new NetworkIndex<NetworkStatement>();
  readonly suggester = new Suggester();
  readonly diagnostics: Diagnostic[] = [];
  /** Names on lines that could not be read: they exist, whatever they mean. */
  readonly #broken = { role: new Set<string>(), place: new Set<string>() };
  /** A line that could not be read may have held any subnet. */
  readonly subnetsKnown: boolean;

  constructor(document: Document) {
    for (const role of statementsOf(document, 'role')) this.#first(this.roles, role.name, role, 'role');
    const places = new Map<string, NetworkStatement | ServiceStatement>();
    for (const { statement } of document.lines) {
      if (statement?.kind !== 'network' && statement?.kind !== 'service') continue;
      if (!this.#first(places, statement.name, statement, 'network or service')) continue;
      if (statement.kind === 'service') this.services.set(statement.name.value, statement);
      else {
        this.networks.set(statement.name.value, statement);
        this.subnets.add(statement.cidr.value, statement);
      }
    }
    for (const { declares } of document.lines)
      if (declares !== undefined) this.#broken[declares.kind === 'role' ? 'role' : 'place'].add(declares.name);
    this.subnetsKnown = !document.lines.some(({ declares }) => declares?.kind === 'network');
  }

  knowsRole(name: string): boolean {
    return this.roles.has(name) || this.#broken.role.has(name);
  }

  knowsPlace(name: string): boolean {
    return this.networks.has(name) || this.services.has(name) || this.#broken.place.has(name);
  }

  unknownRole(at: At<unknown>, name: string): Diagnostic {
    const meant = this.suggester.closest(name, this.roles.keys(), ['everyone']);
    return errorAt(at, 'unknown-role', `there is no role ${name}; a line \`role ${name}\` would make one`, meant);
  }

  unknownPlace(at: At<unknown>, name: string): Diagnostic {
    const meant = this.suggester.closest(name, this.networks.keys(), this.services.keys(), ['devices', 'nodes']);
    return errorAt(at, 'unknown-target', `there is no network or service ${name}`, meant);
  }

  #first<T extends { line: number }>(known: Map<string, T>, name: At<string>, statement: T, what: string): boolean {
    const earlier = known.get(name.value);
    if (earlier === undefined) known.set(name.value, statement);
    else
      this.diagnostics.push(
        errorAt(name, 'duplicate-name', `line ${earlier.line} already names a ${what} ${name.value}`),
      );
    return earlier === undefined;
  }
}
