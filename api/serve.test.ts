import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { compactVerify } from 'jose';
import type { IssuedCode, User } from '#contract/admin.ts';
import type { EnrolmentLease, TokenAnswer } from '#contract/enrolment.ts';
import { signAccessToken } from './keys/tokens.ts';
import { importEd25519, publicJwk } from './keys/working-keys.ts';
import { loadState } from './state/load.ts';
import { readTrustList } from './state/trust.ts';
import { assertion, type Credential, credential, wireguardKey } from './test-kit/keys.ts';
import {
  type Initialised,
  initArguments,
  newInstallation,
  removeStateDirs,
  run,
  type ServingProcess,
  serveArguments,
  serving,
  start,
} from './test-kit/processes.ts';

/** The real program behind TLS, as nodes and devices meet it. */

setDefaultTimeout(60_000);

let made: Initialised;
let master: ServingProcess;
beforeAll(async () => {
  made = await newInstallation();
  master = await serving(made.stateDir);
});
afterAll(async () => {
  await master.end('SIGKILL');
  removeStateDirs();
});

const own = <T>(method: string, path: string, body?: unknown) =>
  master.send(method, path, made.ownerToken, body) as Promise<{ status: number; body: T }>;

async function newNode(name: string): Promise<Credential> {
  const key = await credential();
  const node = { name, publicKey: wireguardKey(), agentKey: key.x, endpoints: ['198.51.100.1:51820'] };
  expect((await own('POST', '/v1/nodes', node)).status).toBe(201);
  return key;
}

async function agentToken(name: string, key: Credential): Promise<string> {
  const signed = await assertion('agent', name, key, new Date());
  const { body } = await master.send('POST', '/v1/agent/tokens', undefined, { assertion: signed });
  return (body as TokenAnswer).token;
}

/** Opens the agent channel, and hands out what comes through it in order. */
function channel(token: string) {
  const socket = new WebSocket(`${master.url.replace('https', 'wss')}/v1/agent/channel`, {
    headers: { authorization: `Bearer ${token}` },
    tls: { rejectUnauthorized: false },
  });
  const notices: { epoch: number; revision: number }[] = [];
  const waiting: ((notice: { epoch: number; revision: number }) => void)[] = [];
  socket.onmessage = ({ data }) => {
    const notice = JSON.parse(data);
    const next = waiting.shift();
    if (next === undefined) notices.push(notice);
    else next(notice);
  };
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }) => resolve(code);
  });
  const next = () => {
    const known = notices.shift();
    if (known !== undefined) return Promise.resolve(known);
    return new Promise<{ epoch: number; revision: number }>((resolve) => waiting.push(resolve));
  };
  return { next, closed, close: () => socket.close() };
}

describe('init', () => {
  test('again changes nothing and tells no secret', async () => {
    const { stdout, status } = await run(initArguments(made.stateDir));
    expect([status, JSON.parse(stdout)]).toEqual([0, { created: false, rootThumbprint: made.rootThumbprint }]);
  });

  test('makes files that only their owner reads', () => {
    const folder = join(made.stateDir, 'master');
    const all = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(all.length).toBeGreaterThan(10);
    for (const entry of all)
      expect(statSync(join(entry.parentPath, entry.name)).mode & 0o777).toBe(entry.isDirectory() ? 0o700 : 0o600);
  });

  test.each([
    ['a pool with host bits', ['--pool', '10.0.0.1/18']],
    ['a pool that is too small', ['--pool', '10.0.0.0/30']],
    ['no e-mail address', ['--owner', 'ana']],
    ['a URL without TLS', ['--public-url', 'http://vpn.example.com']],
    ['a URL with a path', ['--public-url', 'https://vpn.example.com/x']],
    ['a URL with shell in it', ['--public-url', "https://a';id;':8443"]],
    ['an unknown option', ['--pol', '10.0.0.0/18']],
  ])('refuses %s', async (_, argv) => {
    const { status, stderr } = await run([...initArguments(`${made.stateDir}-none`), ...argv]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: /);
  });
});

describe('serve', () => {
  test('shows the certificate that the root-signed list names', async () => {
    const trust = (await master.send('GET', '/v1/trust')).body;
    const list = await readTrustList(trust);
    const { hostname, port } = new URL(master.url);
    const shown = Promise.withResolvers<string>();
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      const der = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
      shown.resolve(
        createHash('sha256')
          .update(der ?? '')
          .digest('base64url'),
      );
      socket.destroy();
    });
    expect(list.tls).toEqual([await shown.promise]);
    expect(list.keys.map(({ use }) => use).sort()).toEqual(['bundles', 'releases', 'snapshots', 'tokens']);
  });

  test.each([
    ['[::1]:0', /^https:\/\/\[::1\]:\d+$/],
    ['localhost:0', /^https:\/\/localhost:\d+$/],
  ])('listens on %s, and ends cleanly', async (listen, url) => {
    const other = await newInstallation();
    const second = await serving(other.stateDir, listen);
    expect(second.url).toMatch(url);
    expect((await second.send('GET', '/healthz')).status).toBe(200);
    const { status, log } = await second.stop();
    expect(status).toBe(0);
    expect(log).toContain('"msg":"stopped"');
  });

  test('shows figures on the machine itself without a token, where its environment says', async () => {
    const other = await newInstallation();
    const probe = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    const place = `127.0.0.1:${probe.port}`;
    await probe.stop(true);
    const child = start(serveArguments(other.stateDir, '127.0.0.1:0'), ['env', `POSTERN_METRICS=${place}`]);
    const second = await serving(other.stateDir, undefined, child);
    const figures = await (await fetch(`http://${place}/metrics`)).text();
    expect(figures).toContain('postern_users{state="enabled"} 1\n');
    expect(figures).toContain('postern_revision 1\n');
    const { log } = await second.stop();
    expect(log).toContain(`"metrics":"http://${place}/"`);
  });

  test.each([
    ['figures for everybody', ['--metrics', '0.0.0.0:9587']],
    ['a log that nobody knows', ['--log-level', 'loud']],
  ])('refuses %s', async (_, argv) => {
    const { status, stderr } = await run(['serve', '--state-dir', made.stateDir, ...argv]);
    expect([status, stderr]).toEqual([1, expect.stringContaining(argv[0] ?? '')]);
  });

  test('says so when its port is taken', async () => {
    const { port } = new URL(master.url);
    const { stateDir } = await newInstallation();
    const { status, stderr } = await run(['serve', '--state-dir', stateDir, '--listen', `127.0.0.1:${port}`]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/in use/);
  });

  test('is refused beside another that serves the same state, until that one is gone, however it went', async () => {
    const { stateDir } = await newInstallation();
    const first = await serving(stateDir);
    const second = await run(['serve', '--state-dir', stateDir, '--listen', '127.0.0.1:0']);
    expect([second.status, second.stderr]).toEqual([
      1,
      `postern-master: Another master serves ${stateDir} already. Stop that one first.\n`,
    ]);
    expect((await first.send('GET', '/healthz')).status).toBe(200);
    await first.end('SIGKILL');
    const third = await serving(stateDir);
    expect((await third.send('GET', '/healthz')).status).toBe(200);
    await third.stop();
  });

  test('writes no secret into its log', async () => {
    const other = await newInstallation();
    const second = await serving(other.stateDir);
    const ask = async <T>(...request: Parameters<typeof second.send>) => (await second.send(...request)).body as T;
    const user = await ask<User>('POST', '/v1/users', other.ownerToken, {
      email: 'ben@example.com',
      role: 'developer',
    });
    const { code } = await ask<IssuedCode>('POST', `/v1/users/${user.id}/codes`, other.ownerToken, {});
    const request = {
      code,
      publicKey: wireguardKey(),
      credentialKey: (await credential()).x,
      deviceName: 'laptop',
      platform: 'linux',
    };
    const lease = await ask<EnrolmentLease>('POST', '/v1/enrolments', undefined, request);
    await second.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, {
      publicKey: request.publicKey,
      address: lease.address,
    });
    await second.send('GET', `/join/${code}?code=${code}`);
    await second.send('GET', `/v1/users?token=${other.ownerToken}`, other.ownerToken);
    const { log } = await second.stop();
    expect(log).toContain('"route":"/v1/enrolments"');
    for (const secret of [
      code,
      code.replaceAll('-', ''),
      other.ownerToken,
      lease.token,
      lease.bundle,
      request.publicKey,
    ])
      expect(log).not.toContain(secret);
  });
});

describe('the agent channel', () => {
  test('names the revision at once, and at each change', async () => {
    const key = await newNode('n1');
    const agent = channel(await agentToken('n1', key));
    const first = await agent.next();
    await own('POST', '/v1/users', { email: 'ben@example.com', role: 'developer' });
    expect(await agent.next()).toEqual({ epoch: first.epoch, revision: first.revision + 1 });
    expect((await own('GET', '/v1/nodes/n1')).body).toMatchObject({ connected: true });
    agent.close();
    await agent.closed;
    for (let tries = 0; tries < 100; tries++) {
      const { body } = await own<{ connected: boolean }>('GET', '/v1/nodes/n1');
      if (!body.connected) return;
      await Bun.sleep(10);
    }
    throw new Error('the node still counts as connected');
  });

  test('closes at once when the node is removed', async () => {
    const key = await newNode('n2');
    const agent = channel(await agentToken('n2', key));
    await agent.next();
    expect((await own('DELETE', '/v1/nodes/n2')).status).toBe(204);
    expect(await agent.closed).toBe(4003);
  });

  test('closes when its token expires', async () => {
    const key = await newNode('n3');
    const state = await loadState(made.stateDir);
    state.store.close();
    const nearlyOver = new Date(Date.now() - 598_000);
    const { token } = await signAccessToken('agent', { sub: 'n3', key: key.x }, state.keys.tokens, nearlyOver);
    const agent = channel(token);
    await agent.next();
    expect(await agent.closed).toBe(4001);
  });

  test('takes nobody without a token, and nobody who asks for no WebSocket', async () => {
    const key = await newNode('n4');
    const token = await agentToken('n4', key);
    expect((await master.send('GET', '/v1/agent/channel')).status).toBe(401);
    expect((await master.send('GET', '/v1/agent/channel', token)).status).toBe(400);
    expect(await channel(made.ownerToken).closed).not.toBe(1000);
  });
});

describe('release', () => {
  const files = () => {
    writeFileSync(join(made.stateDir, 'a-script'), 'echo join\n');
    writeFileSync(join(made.stateDir, 'a-client'), 'console.log(1)\n');
    return [
      ...['release', '--state-dir', made.stateDir, '--version', '0.1.0'],
      ...['--file', `join.sh=${join(made.stateDir, 'a-script')}`],
      ...['--file', `postern-client.js=${join(made.stateDir, 'a-client')}`],
    ];
  };

  test('with a wrong passphrase puts nothing in place', async () => {
    const { status, stderr } = await run(files(), 'wrong\n');
    expect(status).toBe(1);
    expect(stderr).toContain('passphrase');
    expect((await master.send('GET', '/join.sh')).status).toBe(404);
  });

  test('serves what the signed manifest describes, without a restart', async () => {
    const { status, stderr } = await run(files(), `${made.recoveryPassphrase}\n`);
    expect([status, stderr]).toEqual([0, '']);
    const list = await readTrustList((await master.send('GET', '/v1/trust')).body);
    const { x = '' } = list.keys.find(({ use }) => use === 'releases') ?? {};
    const jws = (await master.send('GET', '/client/manifest')).body;
    const { payload } = await compactVerify(jws, await importEd25519(publicJwk(x)), { algorithms: ['EdDSA'] });
    const manifest = JSON.parse(new TextDecoder().decode(payload));
    expect(manifest.version).toBe('0.1.0');
    for (const [name, path] of [
      ['join.sh', '/join.sh'],
      ['postern-client.js', '/client/postern-client.js'],
    ]) {
      const text = (await master.send('GET', path ?? '')).body;
      const sha256 = createHash('sha256').update(text).digest('hex');
      expect(manifest.files).toContainEqual({ name, sha256, bytes: text.length });
    }
  });

  test('takes no other files', async () => {
    const { status } = await run([
      'release',
      '--state-dir',
      made.stateDir,
      '--version',
      '1',
      '--file',
      '../x=/etc/passwd',
    ]);
    expect(status).toBe(1);
  });
});
