import type { Ipv4 } from '#contract/network.ts';

/** A flow that the kernel tracks, by what its first packet said and by who answers it. */
export type Flow = {
  protocol: 'tcp' | 'udp' | 'icmp' | 'other';
  /** The protocol as IP numbers it. */
  protocolNumber: number;
  source: Ipv4;
  destination: Ipv4;
  /** Of TCP and UDP, else 0. */
  sourcePort: number;
  port: number;
  /** Of an ICMP message, else 0. */
  icmpType: number;
  answeredBy: Ipv4;
};

/** Reads `conntrack -L` (IPv4). Lines of protocols with other keys are `other`; a line without addresses is skipped. */
export function parseConntrack(text: string): readonly Flow[] {
  return text.split('\n').flatMap((line): Flow[] => {
    const [protocol = '', protocolNumber] = line.split(/\s+/, 2);
    const [source, answeredBy] = all(line, 'src');
    const [destination] = all(line, 'dst');
    if (source === undefined || destination === undefined || answeredBy === undefined) return [];
    const number = (key: string) => Number(all(line, key)[0] ?? 0);
    const known = protocol === 'tcp' || protocol === 'udp' || protocol === 'icmp';
    return [
      {
        protocol: known ? protocol : 'other',
        protocolNumber: Number(protocolNumber),
        source,
        destination,
        sourcePort: number('sport'),
        port: number('dport'),
        icmpType: number('type'),
        answeredBy,
      },
    ];
  });
}

function all(line: string, key: string): string[] {
  return [...line.matchAll(new RegExp(`\\b${key}=(\\S+)`, 'g'))].map(([, value = '']) => value);
}

/** The words that name one flow to `conntrack -D`, and no other: whatever they leave out, it would end as well. */
export function flowWords({
  protocol,
  protocolNumber,
  source,
  destination,
  sourcePort,
  port,
  icmpType,
}: Flow): string[] {
  const ports = protocol === 'tcp' || protocol === 'udp' ? ['--sport', `${sourcePort}`, '--dport', `${port}`] : [];
  const type = protocol === 'icmp' ? ['--icmp-type', `${icmpType}`] : [];
  const kind = protocol === 'other' ? `${protocolNumber}` : protocol;
  return ['-p', kind, '--orig-src', source, '--orig-dst', destination, ...ports, ...type];
}
