import { type Diagnostic, errorAt, warningAt } from './diagnostic.ts';
import { type At, type Document, type Port, portsOverlap, statementsOf, type VpnOnlyStatement } from './statement.ts';
import { writtenPort } from './values.ts';

const ssh: Port = { protocol: 'tcp', first: 22, last: 22 };

/**
 * A port that is closed to the public stays reachable through the tunnel. That is no help for the ports the tunnel itself
 * needs, and for SSH it is a risk to take knowingly: if the tunnel fails, nobody gets in to repair it.
 */
export function checkVpnOnly(document: Document, ownPorts: readonly Port[]): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const seen = new Map<string, [At<Port>, VpnOnlyStatement][]>();
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
      const place = `${node.value} ${device.value}`;
      const others = seen.get(place) ?? [];
      const same = others.find(([other]) => portsOverlap(other.value, port.value));
      if (same !== undefined)
        diagnostics.push(
          warningAt(port, 'repeated', `line ${same[1].line} already closes ${writtenPort(same[0].value)} there`),
        );
      seen.set(place, [...others, [port, statement]]);
    }
  }
  return diagnostics;
}
