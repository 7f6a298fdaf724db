import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Ipv4 } from '#contract/network.ts';
import { answersQuestion, renderQuestion } from '../formats/dns-question.ts';

/**
 * Whether a connection can be made. A refusal is an answer as well where `refusalCounts`: somebody is there. Bun calls every
 * failure a refusal, so that only silence counts against who is asked.
 */
export function answersTcp(
  address: Ipv4,
  port: number,
  { withinMs, refusalCounts = false }: { withinMs: number; refusalCounts?: boolean },
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (isHit: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isHit);
    };
    const timer = setTimeout(() => end(false), withinMs);
    socket.once('connect', () => end(true));
    socket.on('error', (error: Error & { code?: string }) => end(refusalCounts && error.code === 'ECONNREFUSED'));
  });
}

/** Whether a resolver answers a question. */
export function answersDns(address: Ipv4, name: string, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const id = crypto.getRandomValues(new Uint16Array(1))[0] ?? 1;
    const socket = createSocket('udp4');
    let isOver = false;
    const end = (isHit: boolean) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.close();
      resolve(isHit);
    };
    const timer = setTimeout(() => end(false), withinMs);
    socket.on('error', () => end(false));
    socket.on('message', (message, from) => {
      if (from.address === address && answersQuestion(message, id)) end(true);
    });
    socket.send(renderQuestion(id, name), 53, address, (error) => {
      if (error) end(false);
    });
  });
}
