import { agentPort } from '#contract/probe.ts';
import type { Port } from '#policies/language/statement.ts';
import type { PolicyRoster } from './roster.ts';

/** A port of the nodes that is open to every device without a line, since nothing would work without it. */
export interface Plumbing {
  readonly name: string;
  readonly port: Extract<Port, { first: number }>;
  /** Absent: on every node. */
  readonly node?: string;
}

/** All that is open without a line. Nothing else is. */
export function plumbingOf({ api }: Pick<PolicyRoster, 'api'>): readonly Plumbing[] {
  const everywhere: Plumbing[] = [
    { name: 'DNS', port: { protocol: 'udp', first: 53, last: 53 } },
    { name: 'DNS', port: { protocol: 'tcp', first: 53, last: 53 } },
    { name: 'probes', port: { protocol: 'udp', first: agentPort, last: agentPort } },
    { name: 'bundles', port: { protocol: 'tcp', first: agentPort, last: agentPort } },
  ];
  if (api === undefined) return everywhere;
  return [
    ...everywhere,
    { name: 'the API', port: { protocol: 'tcp', first: api.port, last: api.port }, node: api.node },
  ];
}
