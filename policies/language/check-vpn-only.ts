import type { Diagnostic } from '#contract/diagnostic.ts';
import { errorAt, warningAt } from './diagnostic.ts';
import { type Document, type Port, portsOverlap, statementsOf, type VpnOnlyStatement } from './statement.ts';
import { writtenPort } from './values.ts';

type ClosedPort = VpnOnlyStatement['ports'][number];

const ssh: Port = { protocol: 'tcp', first: 22, last: 22 };

/**
 * A port that is closed to the public stays reachable through the tunnel. That is no help for the ports the tunnel itself
 * needs, and for SSH it is a risk to take knowingly: if the tunnel fails, nobody gets in to repair it.
 */
export function checkVpnOnly(document: Document, ownPorts: readonly Port[]): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const byPlace = new Map<string, ClosedPort[]>();
  for (const statement of statementsOf(document, 'vpn-only')) {
    const { node, device, force, ports } = statement;
    const closesSsh = ports.find((port) => portsOverlap(port.value, ssh));
    if (closesSsh !== undefined && !force)
      diagnostics.push(
        errorAt(
          closesSsh,
          'closes-ssh',
          `${writtenPort(closesSsh.value)} closes SSH on ${device.value}: if the tunnel fails, so does the way to repair it. Write \`force\` at the end if that is meant`,
        ),
      );
    if (closesSsh === undefined && force)
      diagnostics.push(
        warningAt(device, 'needless-force', '`force` is needed for SSH (tcp/22) alone; here it does nothing'),
      );
    for (const port of ports) {
      const own = ownPorts.find((one) => portsOverlap(one, port.value));
      if (own !== undefined)
        diagnostics.push(
          errorAt(
            port,
            'own-port',
            `${writtenPort(port.value)} would close ${writtenPort(own)}, by which devices reach the node at all; it stays open`,
          ),
        );
      const place = `${node.value} ${device.value} ${port.value.protocol}`;
      const others = byPlace.get(place);
      if (others === undefined) byPlace.set(place, [port]);
      else others.push(port);
    }
  }
  return [...diagnostics, ...[...byPlace.values()].flatMap(overlapping)];
}

/** Each port that another line, or the same, already closes. Sorted first: a document may close ten thousand. */
function overlapping(ports: readonly ClosedPort[]): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  let widest: ClosedPort | undefined;
  for (const port of ports.toSorted((a, b) => a.value.first - b.value.first)) {
    if (widest !== undefined && port.value.first <= widest.value.last) {
      const later = port.line > widest.line || (port.line === widest.line && port.column > widest.column);
      const [again, before] = later ? [port, widest] : [widest, port];
      diagnostics.push(
        warningAt(again, 'repeated', `line ${before.line} already closes ${writtenPort(before.value)} there`),
      );
    }
    if (widest === undefined || port.value.last > widest.value.last) widest = port;
  }
  return diagnostics;
}
