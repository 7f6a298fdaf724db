import type { Counters } from '../failover/silence.ts';

/** One interface's packets out of /proc/net/dev, which shows those of the namespace that the reader is in. */
export function parseNetDev(text: string, name: string): Counters | undefined {
  const line = text.split('\n').find((candidate) => candidate.trimStart().startsWith(`${name}:`));
  // Received: bytes, packets and six more; sent: bytes, packets and so on.
  const numbers = line
    ?.slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  const [received, sent] = [numbers?.[1], numbers?.[9]];
  return received === undefined || sent === undefined ? undefined : { sent, received };
}
