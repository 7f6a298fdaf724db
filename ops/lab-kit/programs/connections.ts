/**
 * Opens TCP connections as fast as they are answered, as often as it is asked: `bun connections.ts`; or answers each
 * with one byte: `bun connections.ts serve PORT`.
 *
 * Asked for {address, port, seconds, atOnce}; answers {per_s, failed}. A connection counts when its byte has come. It is
 * reset then, so that neither side runs out of ports.
 */
import { answerAll } from './answering.ts';

type Ask = { address: string; port: number; seconds: number; atOnce: number };
const patienceMs = 2_000;

if (process.argv[2] === 'serve') {
  Bun.listen({
    hostname: '0.0.0.0',
    port: Number(process.argv[3]),
    socket: { open: (socket) => void socket.write('.'), data: () => {}, error: () => {} },
  });
  console.log('listening');
} else {
  await answerAll(async (ask: Ask) => {
    const end = performance.now() + ask.seconds * 1000;
    const start = performance.now();
    const lanes = await Promise.all(Array.from({ length: ask.atOnce }, () => lane(ask, end)));
    const elapsed = (performance.now() - start) / 1000;
    const sum = (key: 'served' | 'failed') => lanes.reduce((total, one) => total + one[key], 0);
    return { per_s: sum('served') / elapsed, failed: sum('failed') };
  });
}

/** One connection after the other. */
async function lane({ address, port }: Ask, end: number): Promise<{ served: number; failed: number }> {
  let served = 0;
  let failed = 0;
  while (performance.now() < end) {
    if (await connection(address, port)) served += 1;
    else failed += 1;
  }
  return { served, failed };
}

function connection(hostname: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const giveUp = setTimeout(() => resolve(false), patienceMs);
  const finish = (answered: boolean) => {
    clearTimeout(giveUp);
    resolve(answered);
  };
  Bun.connect({
    hostname,
    port,
    socket: {
      data(socket) {
        finish(true);
        socket.terminate();
      },
      close: () => finish(false),
      error: () => finish(false),
      connectError: () => finish(false),
    },
  }).catch(() => finish(false));
  return promise;
}
