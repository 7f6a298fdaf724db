import type { RosterNode } from '#contract/roster.ts';
import type { Port } from '#policies/language/statement.ts';

/** The ports by which devices reach nodes and master at all. No policy may close one of them to the public. */
export function ownPortsOf(
  nodes: readonly Pick<RosterNode, 'endpoints'>[],
  publicUrl: string,
  api: { readonly port: number } | null,
): Port[] {
  const wireguard = nodes.flatMap(({ endpoints }) =>
    endpoints.map((one) => Number(one.slice(one.lastIndexOf(':') + 1))),
  );
  const https = [Number(new URL(publicUrl).port || 443), ...(api === null ? [] : [api.port])];
  return [
    ...[...new Set(wireguard)].map((port): Port => ({ protocol: 'udp', first: port, last: port })),
    ...[...new Set(https)].map((port): Port => ({ protocol: 'tcp', first: port, last: port })),
  ];
}
