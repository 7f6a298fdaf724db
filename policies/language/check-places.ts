import type { Diagnostic } from '#contract/diagnostic.ts';
import type { Declared } from './declared.ts';
import { errorAt, warningAt } from './diagnostic.ts';
import { type At, type Document, type Port, portsOverlap, type ServiceStatement, statementsOf } from './statement.ts';
import { writtenPort } from './values.ts';

/**
 * Two networks may not be the same subnet. One inside another is allowed, and said: its addresses belong to the inner
 * network alone, so a grant to the outer one does not open them.
 */
export function checkNetworks(document: Document, declared: Declared): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const network of statementsOf(document, 'network')) {
    if (declared.networks.get(network.name.value) !== network) continue;
    const { cidr, name } = network;
    const same = declared.subnets.same(cidr.value);
    const around = declared.subnets.around(cidr.value);
    if (same !== undefined && same !== network)
      diagnostics.push(
        errorAt(cidr, 'same-subnet', `${cidr.value} is already the network ${same.name.value}, line ${same.line}`),
      );
    else if (around !== undefined)
      diagnostics.push(
        warningAt(
          cidr,
          'nested-network',
          `${name.value} lies inside ${around.name.value} (${around.cidr.value}, line ${around.line}): the most specific network wins, so its addresses are opened by grants to ${name.value} alone`,
        ),
      );
    const nodes = new Set<string>();
    for (const { node } of network.gateways) {
      if (nodes.has(node.value))
        diagnostics.push(
          errorAt(
            node,
            'repeated-gateway',
            `${node.value} already leads to ${name.value}; a node has one way to a network`,
          ),
        );
      nodes.add(node.value);
    }
  }
  return diagnostics;
}

/** A service lies in a network, or no node would know the way to it. */
export function checkServices(document: Document, declared: Declared): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const dnsNames = new Map<string, ServiceStatement>();
  for (const service of statementsOf(document, 'service')) {
    const { address, dnsName, name } = service;
    if (declared.subnetsKnown && declared.subnets.networkOf(address.value) === undefined)
      diagnostics.push(
        errorAt(
          address,
          'no-way',
          `${address.value} lies in no network of this document, so no node leads to ${name.value}. Name its network first: network NAME = SUBNET via NODE dev INTERFACE`,
        ),
      );
    diagnostics.push(...repeatedPorts(service.ports), ...frontProblems(service));
    if (dnsName === undefined) continue;
    const earlier = dnsNames.get(dnsName.value);
    if (earlier !== undefined)
      diagnostics.push(
        errorAt(
          dnsName,
          'duplicate-dns-name',
          `${dnsName.value} already leads to ${earlier.name.value}, line ${earlier.line}`,
        ),
      );
    else dnsNames.set(dnsName.value, service);
  }
  return diagnostics;
}

function frontProblems({ front, dnsName, name, ports }: ServiceStatement): Diagnostic[] {
  const [backend, ...others] = ports;
  if (front === undefined || backend === undefined) return [];
  const diagnostics: Diagnostic[] = [];
  if (dnsName === undefined)
    diagnostics.push(
      errorAt(
        front,
        'front-without-name',
        `the front of ${name.value} answers by name: write \`name ${name.value}.DOMAIN\` before \`front\``,
      ),
    );
  const { value } = backend;
  if (value.protocol !== 'tcp' || value.first !== value.last)
    diagnostics.push(
      errorAt(
        backend,
        'front-port',
        `the first port of a service with a front is the one the front speaks to: one tcp port, not ${writtenPort(value)}`,
      ),
    );
  const taken = others.find((port) => portsOverlap(port.value, { protocol: 'tcp', first: 443, last: 443 }));
  if (taken !== undefined)
    diagnostics.push(
      errorAt(
        taken,
        'front-port',
        `tcp/443 is the front's own port; ${writtenPort(taken.value)} can only reach the backend as its first port`,
      ),
    );
  return diagnostics;
}

/** Ports that say the same twice. */
export function repeatedPorts(ports: readonly At<Port>[]): Diagnostic[] {
  return ports.flatMap((port, index) => {
    const earlier = ports.slice(0, index).find((other) => portsOverlap(other.value, port.value));
    if (earlier === undefined) return [];
    const message = `${writtenPort(port.value)} is already among ${writtenPort(earlier.value)}`;
    return [warningAt(port, 'repeated', message)];
  });
}
