import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Site } from '#policies/desired/sites.ts';
import { makeFrontAuthority } from '../fixture/front-authority.ts';
import { until } from '../fixture/hosts.ts';
import { runCommand } from '../system/command.ts';
import { nginxDaemon } from './nginx.ts';
import { hasManyUsers } from './readable.ts';
import { endDaemons } from './run-record.ts';
import { openSupervisor, type Supervisor } from './supervise.ts';

setDefaultTimeout(30_000);

const obstacle =
  process.getuid?.() !== 0 || Bun.which('nginx') === null ? 'needs root and nginx, for ports below 1024' : undefined;
if (obstacle !== undefined) console.log(`skipped: ${obstacle}`);

describe.skipIf(obstacle !== undefined)('nginx at fronts', () => {
  let directory: string;
  let supervisor: Supervisor;
  let authority: Awaited<ReturnType<typeof makeFrontAuthority>>;
  let certificate: { certificate: string; key: string; names: string[] };
  const backend = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: 1_000_000_000,
    async fetch(request, server) {
      if (new URL(request.url).pathname === '/large')
        return new Response('', { headers: { 'x-large': 'x'.repeat(30_000) } });
      if (new URL(request.url).pathname === '/socket' && server.upgrade(request)) return undefined;
      let length = 0;
      for await (const part of request.body ?? []) length += part.length;
      return Response.json({ headers: Object.fromEntries(request.headers), length });
    },
    websocket: { message: (socket, message) => void socket.send(message) },
  });

  const address = (number: number) => `127.77.0.${number}`;
  const site = (number: number, service: string, preset?: Site['preset']): Site => ({
    service,
    dnsName: `${service}.corp.internal`,
    frontAddress: address(number),
    backend: { scheme: 'http', address: '127.0.0.1', port: backend.port ?? 0 },
    preset,
  });
  const sites = [
    site(1, 'gitlab', 'gitlab'),
    site(2, 'vault', 'vaultwarden'),
    site(3, 'sso', 'keycloak'),
    site(4, 'new'),
  ];
  const put = (wanted: readonly Site[]) => {
    const user = hasManyUsers() ? 'www-data' : 'root';
    supervisor.set('nginx', nginxDaemon(wanted, certificate, { directory, user }));
  };

  /** Asks as a device does that took `name` for the front number `number`. @returns the status, or curl's exit code. */
  const ask = async (number: number, name: string, words: readonly string[] = [], path = '/') => {
    const argv = [
      'curl',
      '-sS',
      '--max-time',
      '10',
      '--noproxy',
      '*',
      '--cacert',
      authority.file,
      '-w',
      '\n%{http_code}',
    ];
    const there = ['--connect-to', `${name}:443:${address(number)}:443`, `https://${name}${path}`];
    const child = Bun.spawn([...argv, ...words, ...there], { stdout: 'pipe', stderr: 'ignore' });
    const said = (await child.stdout.text()).split('\n');
    const exitCode = await child.exited;
    return exitCode === 0 ? { status: Number(said.at(-1)), body: said.slice(0, -1).join('\n') } : { exitCode };
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-nginx-'));
    authority = await makeFrontAuthority(directory);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const keyFile = join(directory, 'front.key');
    await writeFile(keyFile, key, { mode: 0o600 });
    const csr = await runCommand([
      'openssl',
      'req',
      '-new',
      '-config',
      '/dev/null',
      '-key',
      keyFile,
      '-subj',
      '/CN=n1',
    ]);
    const names = ['gitlab', 'vault', 'sso'].map((name) => `${name}.corp.internal`);
    certificate = { certificate: await authority.certify(csr, names), key, names };
    supervisor = openSupervisor({ run: runCommand, directory, log: () => undefined });
    put(sites);
    await until('it answers', async () => (await ask(1, 'gitlab.corp.internal')).status === 200);
  });
  afterAll(async () => {
    supervisor.stop();
    await endDaemons(directory);
    backend.stop(true);
    await rm(directory, { recursive: true, force: true });
  });

  const refused = { exitCode: 35 };
  test.each([
    ['its own name', 1, 'gitlab.corp.internal', [], { status: 200 }],
    ['by HTTP/2', 2, 'vault.corp.internal', ['--http2'], { status: 200 }],
    ["another's name, also in the handshake", 1, 'vault.corp.internal', [], refused],
    [
      "another's name, only in the request",
      1,
      'gitlab.corp.internal',
      ['-H', 'Host: vault.corp.internal'],
      { status: 421 },
    ],
    [
      'the same by HTTP/1.1',
      1,
      'gitlab.corp.internal',
      ['--http1.1', '-H', 'Host: vault.corp.internal'],
      { status: 421 },
    ],
    ['a name that nobody has', 1, 'evil.example.com', [], refused],
    ['its address', 1, address(1), [], refused],
    ['a name that has no certificate yet', 4, 'new.corp.internal', [], refused],
  ] as const)('asked for %s', async (_, number, name, words, expected) =>
    expect(await ask(number, name, words)).toMatchObject(expected),
  );

  test('HTTP leads to HTTPS, and only under the name', async () => {
    const plain = (host: string) => fetch(`http://${address(1)}/a?b=c`, { headers: { host }, redirect: 'manual' });
    const led = await plain('gitlab.corp.internal');
    expect([led.status, led.headers.get('location')]).toEqual([308, 'https://gitlab.corp.internal/a?b=c']);
    expect((await plain('vault.corp.internal')).status).toBe(421);
  });

  test('the backend is told who asks and how, and believes nothing that the one who asks says of it', async () => {
    const lies = [
      'X-Forwarded-For: 1.2.3.4',
      'X-Real-IP: 1.2.3.4',
      'Forwarded: for=1.2.3.4',
      'X-Forwarded-Proto: http',
    ];
    const answer = await ask(
      3,
      'sso.corp.internal',
      lies.flatMap((lie) => ['-H', lie]),
    );
    expect(JSON.parse(answer.body ?? '{}').headers).toMatchObject({
      host: 'sso.corp.internal',
      'x-real-ip': '127.0.0.1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'sso.corp.internal',
      'x-forwarded-port': '443',
    });
    expect(JSON.parse(answer.body ?? '{}').headers).not.toHaveProperty('forwarded');
  });

  test.each([
    // The status is the backend's own: it was let through.
    ['keycloak takes large headers', 3, 'sso.corp.internal', ['-H', `X-Large: ${'x'.repeat(30_000)}`], 0, 431],
    ['others do not', 2, 'vault.corp.internal', ['--http1.1', '-H', `X-Large: ${'x'.repeat(30_000)}`], 0, 400],
    ['keycloak takes no large body', 3, 'sso.corp.internal', [], 11 * 2 ** 20, 413],
    ['gitlab does', 1, 'gitlab.corp.internal', [], 40 * 2 ** 20, 200],
    ['vaultwarden does', 2, 'vault.corp.internal', [], 40 * 2 ** 20, 200],
  ] as const)('%s', async (_, number, name, words, size, status) => {
    const file = join(directory, 'body');
    await writeFile(file, Buffer.alloc(size));
    const answer = await ask(number, name, [...words, ...(size === 0 ? [] : ['-T', file])]);
    expect(answer.status).toBe(status);
    if (status === 200) expect(JSON.parse(answer.body ?? '{}').length).toBe(size);
  });

  test('keycloak may answer with large headers, others may not', async () => {
    expect((await ask(3, 'sso.corp.internal', [], '/large')).status).toBe(200);
    expect((await ask(2, 'vault.corp.internal', [], '/large')).status).toBe(502);
  });

  test('a reload drops no connection, not even one that has become a WebSocket', async () => {
    const socket = new WebSocket(`wss://${address(2)}/socket`, {
      headers: { host: 'vault.corp.internal' },
      tls: { ca: Bun.file(authority.file), serverName: 'vault.corp.internal' },
    } as unknown as string[]);
    const said: string[] = [];
    const closed: unknown[] = [];
    socket.onmessage = ({ data }) => said.push(String(data));
    socket.onclose = (event) => closed.push(event.reason);
    await until('it is open', () => socket.readyState === WebSocket.OPEN);
    socket.send('before');
    await until('it answers', () => said.includes('before'));
    put(sites.slice(0, 3));
    await until('the front that is gone refuses', async () => (await ask(4, 'new.corp.internal')).exitCode === 7);
    socket.send('after');
    await until('it answers still', () => said.includes('after'));
    expect(closed).toEqual([]);
    socket.close();
    put(sites);
    await until('it is back', () => isOpen(address(4)));
  });
});

const isOpen = (host: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port: 443 });
    socket.once('connect', () => resolve(socket.destroy() !== undefined));
    socket.once('error', () => resolve(false));
  });
