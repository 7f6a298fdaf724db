/**
 * An internal service, as a program of its own: `bun site.ts NAME`.
 *
 * - port 80: `/` answers with its name and the asker's address; `/stream` is a download without an end.
 * - port 7000: says back every line it hears.
 */
import { createServer } from 'node:net';

const name = process.argv[2] ?? 'site';
const chunk = new Uint8Array(4_096);

Bun.serve({
  hostname: '0.0.0.0',
  port: 80,
  idleTimeout: 0,
  fetch(request, server) {
    const from = server.requestIP(request)?.address ?? 'nowhere';
    console.log(`asked by ${from}`);
    if (new URL(request.url).pathname !== '/stream') return new Response(`${name} greets ${from}\n`);
    const body = async function* () {
      for (;;) {
        yield chunk;
        await Bun.sleep(1);
      }
    };
    return new Response(body(), { headers: { 'content-type': 'application/octet-stream' } });
  },
});

createServer((socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
}).listen(7_000, '0.0.0.0');

console.log('listening');
