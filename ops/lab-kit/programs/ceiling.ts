/**
 * What Bun's server does at most: `bun ceiling.ts CERTIFICATE KEY` speaks TLS, reads JSON and answers JSON as long as
 * a master's, and does nothing else. It prints its address.
 */
import { readFileSync } from 'node:fs';

const [cert = '', key = ''] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'));
const lease = { id: '0'.repeat(36), address: '10.64.0.64', token: 't'.repeat(400), bundle: 'b'.repeat(900) };

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: { cert, key },
  async fetch(request) {
    const body = (await request.json()) as { deviceName?: string; address?: string };
    if (request.method === 'POST') return Response.json({ ...lease, name: body.deviceName }, { status: 201 });
    return Response.json({ ...lease, address: body.address });
  },
});
console.log(server.url.href);
