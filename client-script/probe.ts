import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import * as v from 'valibot';
import type { Ipv4 } from '#contract/network.ts';
import { agentPort, encodeProbe, Hint, ProbeAnswer } from '#contract/probe.ts';

export type Answered = { answer: ProbeAnswer; rttMs: number };

export interface Prober {
  /** Asks a node once. @returns undefined when nothing came in time. */
  ask(tunnelAddress: Ipv4, limitMs: number): Promise<Answered | undefined>;
  /** Datagrams of its own that left and came. */
  readonly counts: Readonly<{ sent: number; received: number }>;
  /** What is still asked counts as not answered. */
  close(): void;
}

export type ProberEvents = {
  /** From where somebody asks us to probe now. */
  onHint?: (from: Ipv4) => void;
  /** The system does not take what is to be sent. */
  onTrouble?: () => void;
};

/**
 * One UDP socket on the device's own tunnel address. Inside the tunnel a source address cannot be forged, and a hint does
 * nothing but wake the prober.
 */
export function openProber(
  address: Ipv4,
  { onHint = () => undefined, onTrouble = () => undefined }: ProberEvents = {},
): Promise<Prober> {
  const waiting = new Map<string, { from: Ipv4; finish: (answer: ProbeAnswer | undefined) => void }>();
  const counts = { sent: 0, received: 0 };
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.on('message', (message, { address: from, port }) => {
      counts.received += 1;
      if (port !== agentPort || message.length > 2048) return;
      const text = readJson(message);
      const answer = v.safeParse(ProbeAnswer, text);
      if (answer.success) {
        const asked = waiting.get(answer.output.nonce);
        if (asked?.from === from) asked.finish(answer.output);
      } else if (v.is(Hint, text)) onHint(from);
    });
    const afterSending = (error: Error | null) => {
      if (error === null) counts.sent += 1;
      else onTrouble();
    };
    socket.bind({ address, port: 0 }, () => {
      socket.off('error', reject);
      // While the interface is away sending fails; that is silence like any other.
      socket.on('error', () => undefined);
      resolve({
        counts,
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
              socket.send(encodeProbe(nonce), agentPort, tunnelAddress, afterSending);
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
