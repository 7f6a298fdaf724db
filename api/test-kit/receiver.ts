import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from '../keys/tls.ts';

/** What a receiver got, as it came. */
export type Received = { path: string; headers: Record<string, string>; body: string };

type Answer = (received: Received) => Response | Promise<Response>;

export type Receiver = ReturnType<typeof receiverOf>;

/** A certificate for `host`, which is its own authority. */
export async function certificateFor(
  host: string,
): Promise<{ cert: string; key: string; file: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-receiver-'));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await makeCertificate(host, files);
  return {
    cert: readFileSync(files.cert, 'utf8'),
    key: readFileSync(files.key, 'utf8'),
    file: files.cert,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** A real receiver of webhooks behind TLS on a loopback address. It answers 204 unless told otherwise. */
export function receiverOf(tls: { cert: string; key: string }, hostname = '127.0.0.1', port = 0) {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  let answer: Answer = () => new Response(null, { status: 204 });
  const server = Bun.serve({
    hostname,
    port,
    tls: { cert: tls.cert, key: tls.key },
    idleTimeout: 60,
    async fetch(request) {
      const one = {
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      };
      received.push(one);
      for (const look of [...waiting]) look();
      return answer(one);
    },
  });
  return {
    received,
    port: server.port ?? 0,
    answer: (next: Answer) => {
      answer = next;
    },
    /** Resolves when so many have come. */
    async got(count: number): Promise<Received[]> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        if (received.length >= count) resolve();
      };
      waiting.add(look);
      look();
      await promise;
      waiting.delete(look);
      return received;
    },
    stop: () => server.stop(true),
  };
}
