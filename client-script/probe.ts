import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import * as v from 'valibot';
import type { Ipv4 } from '#contract/network.ts';
import { agentPort, encodeProbe, Hint, ProbeAnswer } from '#contract/probe.ts';

export type Answered = { answer: ProbeAnswer; rttMs: number };

export interface Prober {
  /** Asks a node once. @returns undefined when nothing came in time. */
  ask(tunnelAddress: Ipv4, limitMs: number): Promise<Answered | undefined>;
  /** What is still asked counts as not answered. */
  close(): void;
}

/**
 * One UDP socket on the device's own tunnel address. `onHint` hears from where somebody asks us to probe now; inside the
 * tunnel a source address cannot be forged, and a hint does nothing but wake the prober.
 */
export function openProber(address: Ipv4, onHint: (from: Ipv4) => void = () => undefined): Promise<Prober> {
  const waiting = new Map<string, { from: Ipv4; finish: (answer: ProbeAnswer | undefined) => void }>();
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.on('message', (message, { address: from, port }) => {
      if (port !== agentPort || message.length > 2048) return;
      const text = readJson(message);
      const answer = v.safeParse(ProbeAnswer, text);
      if (answer.success) {
        const asked = waiting.get(answer.output.nonce);
        if (asked?.from === from) asked.finish(answer.output);
      } else if (v.is(Hint, text)) onHint(from);
    });
    socket.bind({ address, port: 0 }, () => {
      socket.off('error', reject);
      // While the interface is away sending fails; that is silence like any other.
      socket.on('error', () => undefined);
      resolve({
        ask: (tunnelAddress, limitMs) =>
          new Promise((answered) => {
            const nonce = randomBytes(8).toString('hex');
            const start = performance.now();
            const finish = (answer: ProbeAnswer | undefined) => {
              clearTimeout(timer);
              waiting.delete(nonce);
              answered(answer && { answer, rttMs: performance.now() - start });
            };
            const timer = setTimeout(() => finish(undefined), limitMs);
            waiting.set(nonce, { from: tunnelAddress, finish });
            try {
              socket.send(encodeProbe(nonce), agentPort, tunnelAddress, () => undefined);
            } catch {
              // Closed in the meantime: nobody will answer, and the timer says so.
            }
          }),
        close: () => {
          for (const { finish } of waiting.values()) finish(undefined);
          socket.close();
        },
      });
    });
  });
}

function readJson(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString('utf8'));
  } catch {
    return undefined;
  }
}
