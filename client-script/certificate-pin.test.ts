import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Authority, type Certificate, makeAuthority, makeCertificate } from './fixture/authority.ts';

/** Everything that a TLS server could read, one text for each connection. */
type Listener = { port: number; heard: string[]; close(): void };

/** Answers the trust list to whoever asks and then hangs up, so that the next request needs a new connection. */
async function listen({ key, cert }: Certificate, trust: string): Promise<Listener> {
  const heard: string[] = [];
  const server = createTlsServer({ key, cert }, (socket: TLSSocket) => {
    const index = heard.push('') - 1;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard[index] += bytes.toString();
      if (!heard[index]?.includes('\r\n\r\n')) return;
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${trust.length}\r\n\r\n${trust}`);
    });
  });
  return { port: await portOf(server), heard, close: () => server.close() };
}

/** Leads the first connection to one port and all others to another, as someone on the path can. */
async function switchAfterFirst(
  first: number,
  then: number,
): Promise<{ port: number; connections(): number; close(): void }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    const onward = connect(count === 1 ? first : then, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    for (const end of [socket, onward]) end.on('error', () => undefined);
  });
  return { port: await portOf(server), connections: () => count, close: () => server.close() };
}

function portOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

const genuine = makeCertificate();
const mallory = makeCertificate();
let authority: Authority;
let stranger: Authority;
let folder: string;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority([genuine.spki]), makeAuthority([mallory.spki])]);
  folder = await mkdtemp(join(tmpdir(), 'postern-pin-'));
  const entrypoints = [join(import.meta.dir, 'fixture/ask-master.ts')];
  const { success } = await Bun.build({
    entrypoints,
    target: 'node',
    format: 'esm',
    outdir: folder,
    naming: 'ask.mjs',
  });
  expect(success).toBe(true);
});
afterAll(() => rm(folder, { recursive: true }));

async function ask(runtime: string, port: number, root: string): Promise<string> {
  const child = Bun.spawn([runtime, join(folder, 'ask.mjs'), `https://127.0.0.1:${port}`, root], { stderr: 'pipe' });
  return child.stdout.text();
}

const runtimes = [process.execPath, Bun.which('node')].filter((path) => path !== null);

test.each(runtimes)('on %s the genuine master gets the code', async (runtime) => {
  const server = await listen(genuine, await authority.trust());
  await ask(runtime, server.port, authority.root);
  expect(server.heard.join()).toContain('THE-CODE');
  server.close();
});

test.each(runtimes)('on %s a master with another root is asked for its trust list, and no more', async (runtime) => {
  const server = await listen(mallory, await stranger.trust());
  expect(await ask(runtime, server.port, authority.root)).toBe('wrong-root');
  expect(server.heard).toHaveLength(1);
  expect(server.heard[0]).toStartWith('GET /v1/trust ');
  server.close();
});

test.each(runtimes)(
  'on %s whoever passes on the genuine list under another certificate gets no more',
  async (runtime) => {
    const server = await listen(mallory, await authority.trust());
    expect(await ask(runtime, server.port, authority.root)).toBe('wrong-certificate');
    expect(server.heard).toHaveLength(1);
    expect(server.heard[0]).not.toContain('THE-CODE');
    server.close();
  },
);

test.each(runtimes)('on %s whoever takes over after the trust list reads not one byte', async (runtime) => {
  const [master, other] = await Promise.all([
    listen(genuine, await authority.trust()),
    listen(mallory, await authority.trust()),
  ]);
  const path = await switchAfterFirst(master.port, other.port);
  expect(await ask(runtime, path.port, authority.root)).toBe('wrong-certificate');
  expect(master.heard).toHaveLength(1);
  expect(path.connections()).toBeGreaterThan(1);
  expect(other.heard.join('')).toBe('');
  for (const server of [master, other, path]) server.close();
});
