import type { Ipv4 } from '#contract/network.ts';

/** A flow that the kernel tracks, by what its first packet said and by who answers it. */
export type Flow = {
  protocol: 'tcp' | 'udp' | 'icmp' | 'other';
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
    const [protocol = ''] = line.split(/\s+/, 1);
    const [source, answeredBy] = all(line, 'src');
    const [destination] = all(line, 'dst');
    if (source === undefined || destination === undefined || answeredBy === undefined) return [];
    const number = (key: string) => Number(all(line, key)[0] ?? 0);
    const known = protocol === 'tcp' || protocol === 'udp' || protocol === 'icmp';
    return [
      {
        protocol: known ? protocol : 'other',
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

/** The words that name one flow to `conntrack -D`. */
export function flowWords({ protocol, source, destination, sourcePort, port }: Flow): string[] {
  const ports = protocol === 'tcp' || protocol === 'udp' ? ['--sport', `${sourcePort}`, '--dport', `${port}`] : [];
  const kind = protocol === 'other' ? [] : ['-p', protocol];
  return [...kind, '--orig-src', source, '--orig-dst', destination, ...ports];
}
