import { openSync, readSync } from 'node:fs';
import type { Counters } from '../failover/silence.ts';

/** One interface's packets out of /proc/net/dev, which shows those of the namespace that the reader is in. */
export function parseNetDev(text: string, name: string): Counters | undefined {
  const [, line] = new RegExp(`^ *${name}:(.*)\\n`, 'm').exec(text) ?? [];
  // Received: bytes, packets and six more; sent: bytes, packets and so on.
  const numbers = line?.trim().split(/\s+/).map(Number);
  const [received, sent] = [numbers?.[1], numbers?.[9]];
  return received === undefined || sent === undefined ? undefined : { sent, received };
}

/** Reads them from the file, which stays open: opening it each time would double the work. */
export function openCounters(path = '/proc/net/dev'): (name: string) => Counters | undefined {
  let file: number | undefined;
  const page = Buffer.alloc(4_096);
  return (name) => {
    try {
      file ??= openSync(path, 'r');
      // The kernel gives a page at a time, of whole lines.
      for (let text = ''; ; ) {
        const length = readSync(file, page, 0, page.length, Buffer.byteLength(text, 'latin1'));
        text += page.toString('latin1', 0, length);
        const counters = parseNetDev(text, name);
        if (counters !== undefined || length === 0) return counters;
      }
    } catch {
      return undefined;
    }
  };
}
