import type { Diagnostic } from '#contract/diagnostic.ts';
import { checkAllows } from './check-allow.ts';
import { checkNetworks, checkServices } from './check-places.ts';
import { checkRoles } from './check-roles.ts';
import { checkVpnOnly } from './check-vpn-only.ts';
import { Declared } from './declared.ts';
import { hasErrors, inReadingOrder } from './diagnostic.ts';
import { parse } from './parse.ts';
import type { Document, Port } from './statement.ts';

export interface CheckOptions {
  /** Ports that keep the nodes themselves alive: WireGuard's and the API's. No `vpn-only` may close them. */
  readonly ownPorts: readonly Port[];
}

export const defaultCheckOptions: CheckOptions = {
  ownPorts: [
    { protocol: 'udp', first: 51_820, last: 51_820 },
    { protocol: 'tcp', first: 8443, last: 8443 },
  ],
};

/** A document with no error in it. Only `checkSource` makes one. */
export type Checked =
  | { readonly ok: true; readonly document: Document; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly document: Document; readonly diagnostics: readonly Diagnostic[] };

/**
 * Reads and checks a whole document and reports everything that is wrong with it, not the first thing alone. What needs
 * a roster (nodes, users, the pool) is checked where there is one: `policies/meaning/check-roster.ts`.
 */
export function checkSource(source: string, options = defaultCheckOptions): Checked {
  const { document, diagnostics } = parse(source);
  const all = inReadingOrder([...diagnostics, ...checkDocument(document, options)]);
  return hasErrors(all) ? { ok: false, document, diagnostics: all } : { ok: true, document, warnings: all };
}

/** What is wrong with a document whose lines were read. */
export function checkDocument(document: Document, options = defaultCheckOptions): Diagnostic[] {
  const declared = new Declared(document);
  return inReadingOrder([
    ...declared.diagnostics,
    ...checkRoles(document, declared),
    ...checkNetworks(document, declared),
    ...checkServices(document, declared),
    ...checkAllows(document, declared),
    ...checkVpnOnly(document, options.ownPorts),
  ]);
}
