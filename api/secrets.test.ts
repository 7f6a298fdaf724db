import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK } from 'jose';
import { masterPaths } from './state/layout.ts';
import { assertion, credential, wireguardKey } from './test-kit/keys.ts';
import { type Finding, filesOf, leaksOf, type Secret } from './test-kit/leaks.ts';
import {
  newInstallation,
  newStateDir,
  removeStateDirs,
  run,
  serveArguments,
  serving,
  start,
} from './test-kit/processes.ts';

/**
 * The whole life of an installation with the real program, then a search: no secret stands in an answer (but the one that
 * is there to tell it), in a log line, in a column, or in a file of the state directory that is not its own.
 */

type Answer = { status: number; body: Record<string, string> & { join: { sh: string } } };

const secrets: Secret[] = [];
const answers: Finding[] = [];
let log = '';
let stateDir = '';

const learn = (name: string, value: string | undefined): string => {
  if (value === undefined || value.length < 10) throw new Error(`${name} is no secret: ${value}`);
  secrets.push({ name, value });
  return value;
};

beforeAll(async () => {
  const installation = await newInstallation();
  stateDir = installation.stateDir;
  const owner = learn('the owner token', installation.ownerToken);
  const passphrase = learn('the recovery passphrase', installation.recoveryPassphrase);
  const file = join(newStateDir(), 'file');
  writeFileSync(file, 'content');
  const files = ['--file', `join.sh=${file}`, '--file', `postern-client.js=${file}`];
  await ran(['release', '--state-dir', stateDir, '--version', '1', ...files], passphrase);

  const { stdout: help } = await run(['serve', '--help']);
  const talkative = help.includes('--log-level') ? ['--log-level', 'trace'] : [];
  const child = start([...serveArguments(stateDir, '127.0.0.1:0'), ...talkative]);
  const master = await serving(stateDir, undefined, child);
  await live(master.url, owner, passphrase);
  ({ log } = await master.stop());
}, 60_000);

afterAll(removeStateDirs);

async function ran(argv: string[], stdin: string): Promise<void> {
  const { status, stdout, stderr } = await run(argv, stdin);
  if (status !== 0) throw new Error(stderr);
  answers.push({ where: `the output of ${argv[0]} ${argv[1]}`, text: stdout + stderr });
}

/** What people, scripts, agents and devices do in the life of an installation, in the right way and in wrong ones. */
async function live(url: string, owner: string, passphrase: string): Promise<void> {
  /** One request. `shown` takes what the answer is there to tell, which is looked for in all the rest of it. */
  const ask = async (
    method: string,
    path: string,
    token?: string,
    body?: unknown,
    {
      shown,
      headers = {},
    }: { shown?: (body: Answer['body']) => (string | undefined)[]; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      tls: { rejectUnauthorized: false },
    });
    let text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    const parsed = isJson && text !== '' ? JSON.parse(text) : {};
    for (const told of shown?.(parsed) ?? []) {
      if (told === undefined || !text.includes(told)) throw new Error(`${method} ${path} does not tell: ${text}`);
      text = text.replace(told, '');
    }
    const head = JSON.stringify([...response.headers]);
    answers.push({
      where: `the answer ${response.status} to ${method} ${path.slice(0, 30)}`,
      text: `${head}\n${text}`,
    });
    return { status: response.status, body: parsed };
  };
  const expected = async (status: number, ...request: Parameters<typeof ask>): Promise<Answer['body']> => {
    const answer = await ask(...request);
    if (answer.status !== status) throw new Error(`${request[0]} ${request[1]}: ${JSON.stringify(answer)}`);
    return answer.body;
  };
  const privateKey = async (name: string, key: CryptoKey) => learn(name, (await exportJWK(key)).d);
  const exchange = async (kind: 'agent' | 'device', sender: string, key: Awaited<ReturnType<typeof credential>>) => {
    const signed = learn(`an assertion of ${kind}`, await assertion(kind, sender, key, new Date()));
    const path = `/v1/${kind}/tokens`;
    const { token } = await expected(
      200,
      'POST',
      path,
      undefined,
      { assertion: signed },
      { shown: ({ token }) => [token] },
    );
    await expected(401, 'POST', path, undefined, { assertion: signed });
    return learn(`a token of ${kind}`, token);
  };

  for (const path of ['/healthz', '/v1/trust', '/join.sh', '/client/manifest', '/swagger', '/swagger/json'])
    await expected(200, 'GET', path);

  // A node.
  const agentKey = await credential();
  await privateKey('the private key of an agent', agentKey.sign);
  await expected(201, 'POST', '/v1/nodes', owner, {
    name: 'n1',
    publicKey: wireguardKey(),
    agentKey: agentKey.x,
    endpoints: ['198.51.100.1:51820'],
  });
  const agent = await exchange('agent', 'n1', agentKey);

  // A person, a code, and a device that enrols with it.
  const { id: userId } = await expected(201, 'POST', '/v1/users', owner, { email: 'ben@example.com', role: 'admin' });
  const idempotency = { 'idempotency-key': learn('an idempotency key', crypto.randomUUID()) };
  const issue = () =>
    expected(
      201,
      'POST',
      `/v1/users/${userId}/codes`,
      owner,
      {},
      { shown: ({ code }) => [code], headers: idempotency },
    );
  const { code = '' } = await issue();
  if ((await issue()).code !== code) throw new Error('the code was made twice');
  learn('a code', code);
  const otherCode = (
    await expected(201, 'POST', `/v1/users/${userId}/codes`, owner, {}, { shown: ({ code }) => [code] })
  ).code;
  learn('a code that is never used', otherCode);
  const deviceKey = await credential();
  await privateKey('the private key of a device', deviceKey.sign);
  const device = { publicKey: wireguardKey(), credentialKey: deviceKey.x, deviceName: 'laptop', platform: 'linux' };
  const redeem = () =>
    expected(201, 'POST', '/v1/enrolments', undefined, { code, ...device }, { shown: ({ token }) => [token] });
  const { id: deviceId = '', address, token: enrolment = '' } = await redeem();
  await redeem();
  learn('an enrolment token', enrolment);
  const confirm = { publicKey: device.publicKey, address };
  await expected(200, 'PUT', `/v1/enrolments/${deviceId}`, enrolment, confirm);
  await expected(200, 'PUT', `/v1/enrolments/${deviceId}`, enrolment, confirm);
  await expected(409, 'POST', '/v1/enrolments', undefined, { code, ...device, publicKey: wireguardKey() });
  const deviceToken = await exchange('device', deviceId, deviceKey);
  await expected(200, 'GET', '/v1/device/bundle', deviceToken);
  await expected(200, 'GET', '/v1/agent/snapshot', agent);
  await expected(200, 'GET', '/v1/agent/bundles', agent);
  await expected(204, 'POST', '/v1/agent/reports', agent, { drift: ['the peer was missing'], problem: 'none' });

  // Tokens of scripts.
  const add = (wanted: object, headers = {}) =>
    expected(201, 'POST', '/v1/tokens', owner, wanted, { shown: ({ token }) => [token], headers });
  const script = await add({ name: 'script', permission: 'owner' }, { 'idempotency-key': crypto.randomUUID() });
  learn('the token of a script', script.token);
  const revoked = await add({ name: 'revoked', permission: 'auditor' });
  learn('a token that was revoked', revoked.token);
  await expected(200, 'GET', '/v1/users', revoked.token);
  await expected(204, 'DELETE', `/v1/tokens/${revoked.id}`, owner);
  await expected(401, 'GET', '/v1/users', revoked.token);

  // Whatever can be read.
  const token = script.token ?? '';
  for (const path of readable(await expected(200, 'GET', '/swagger/json')))
    await expected(200, 'GET', path.replace('{email}', 'ben@example.com').replace('{name}', 'n1'), token);
  for (const path of [
    `/v1/users/${userId}`,
    `/v1/users/${userId}/codes`,
    `/v1/devices/${deviceId}`,
    `/v1/tokens/${script.id}`,
  ])
    await expected(200, 'GET', path, token);
  await expected(200, 'GET', '/v1/audit/export?format=csv', token);

  // Secrets in the wrong place.
  for (const { value } of [...secrets]) {
    const text = encodeURIComponent(value);
    for (const path of [
      `/${text}`,
      `/v1/users/${text}`,
      `/v1/users/by-email/${text}`,
      `/v1/users?q=${text}`,
      `/v1/nodes?${text}=1`,
    ])
      await ask('GET', path, owner);
    await ask('GET', `/v1/users?cursor=${text}`, owner);
    await ask('DELETE', `/v1/codes/${text}`, owner, undefined, { headers: { 'if-match': text, 'user-agent': text } });
    await ask('POST', '/v1/users', owner, { [value]: value, email: value, role: value });
    await ask('POST', '/v1/users', owner, `{"email": "${value}`);
    await ask('POST', '/v1/users', owner, value, { headers: { 'content-type': value.slice(0, 20) } });
    await ask('POST', '/v1/users', owner, {}, { headers: { 'idempotency-key': ` ${value} x` } });
    await ask('PATCH', `/swagger/${text}`, owner, `{"${value}`);
    await ask('GET', `/${text}/${text}`);
  }
  // Strangers may fail so many times a minute, so each secret goes to one place.
  for (const [index, { value }] of secrets.entries()) {
    if (index % 3 === 0) await ask('POST', '/v1/agent/tokens', undefined, { assertion: value });
    else if (index % 3 === 1) await ask('POST', `/v1/users`, `${value}x`, { email: value });
    else await ask('GET', '/v1/users', undefined, undefined, { headers: { authorization: `Basic ${value}` } });
  }
  const last = otherCode?.endsWith('0') ? '1' : '0';
  await ask('POST', '/v1/enrolments', undefined, { code: `${otherCode?.slice(0, -1)}${last}`, ...device });
  if (answers.some(({ where }) => where.includes('answer 429'))) throw new Error('some of it was not looked at');

  await ran(['keys', 'renew', '--state-dir', stateDir], passphrase);
  await expected(204, 'DELETE', '/v1/device', deviceToken);
  await expected(204, 'DELETE', '/v1/nodes/n1', token);
}

/** What users can read without naming an id, by the OpenAPI document. */
function readable(document: object): string[] {
  const { paths } = document as { paths: Record<string, { get?: { security: Record<string, unknown>[] } }> };
  const isForUsers = ({ security }: { security: Record<string, unknown>[] }) =>
    security.some((scheme) => 'userToken' in scheme);
  return Object.entries(paths).flatMap(([path, { get }]) =>
    get !== undefined && isForUsers(get) && !path.includes('{id}') ? [path] : [],
  );
}

/** Every value of every column of every table. */
function columnsOf(path: string): Finding[] {
  const db = new Database(path, { readonly: true });
  const tables = db.query<{ name: string }, []>(`SELECT name FROM sqlite_master WHERE type = 'table'`).all();
  const findings = tables.flatMap(({ name: table }) =>
    db
      .query<Record<string, unknown>, []>(`SELECT * FROM "${table}"`)
      .all()
      .flatMap((row) =>
        Object.entries(row).map(([column, value]) => ({
          where: `${table}.${column}`,
          text: value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
        })),
      ),
  );
  db.close();
  return findings;
}

/** Keys that belong in a file of their own, and there alone. */
function keysAtHome(): { secret: Secret; home: string }[] {
  const paths = masterPaths(stateDir);
  const home = (path: string) => path.slice(stateDir.length + 1);
  const working = ['tokens', 'snapshots', 'bundles'].map((use) => ({
    secret: { name: `the key for ${use}`, value: JSON.parse(readFileSync(paths.key(use), 'utf8')).d as string },
    home: home(paths.key(use)),
  }));
  const tls = readFileSync(paths.tlsKey, 'utf8').split('\n')[1] ?? '';
  return [...working, { secret: { name: 'the TLS key', value: tls }, home: home(paths.tlsKey) }];
}

const lines = (): Finding[] => log.split('\n').map((text) => ({ where: `the log line ${text.slice(0, 300)}`, text }));
const database = () => masterPaths(stateDir).database;
const all = (): Secret[] => [...secrets, ...keysAtHome().map(({ secret }) => secret)];

describe('no secret stands', () => {
  test('in an answer, but for the one that is there to tell it', () => {
    expect(answers.length).toBeGreaterThan(150);
    expect(leaksOf(all(), answers)).toEqual([]);
  });

  test('in a line of the log', () => {
    expect(lines().length).toBeGreaterThan(150);
    expect(leaksOf(all(), lines())).toEqual([]);
  });

  test('in a column of the database', () => {
    const columns = columnsOf(database());
    expect(new Set(columns.map(({ where }) => where)).size).toBeGreaterThan(45);
    expect(leaksOf(all(), columns)).toEqual([]);
  });

  test('in a file of the state directory, but for keys in their own', () => {
    const files = filesOf(stateDir);
    expect(files.map(({ where }) => where)).toEqual(expect.arrayContaining(keysAtHome().map(({ home }) => home)));
    expect(leaksOf(secrets, files)).toEqual([]);
    const elsewhere = keysAtHome().flatMap(({ secret, home }) =>
      leaksOf([secret], files).filter((leak) => leak !== `${secret.name} in ${home}`),
    );
    expect(elsewhere).toEqual([]);
  });
});

describe('the search finds', () => {
  test('what does stand there: it looked at the real things', () => {
    const known = [{ name: 'an e-mail address', value: 'ben@example.com' }];
    expect(leaksOf(known, answers).length).toBeGreaterThan(5);
    expect(leaksOf(known, columnsOf(database()))).toContain('an e-mail address in users.email');
    expect(leaksOf(known, filesOf(stateDir))).toContain('an e-mail address in master/postern.db');
    expect(leaksOf([{ name: 'a path', value: '/v1/device/bundle' }], lines()).length).toBe(1);
  });

  test('each secret in an answer and in a log line, however it is written', () => {
    for (const secret of all())
      for (const text of [secret.value, secret.value.toLowerCase(), Buffer.from(secret.value).toString('hex')]) {
        expect(leaksOf([secret], [...answers, { where: 'here', text: `x${text}x` }])).toEqual([
          `${secret.name} in here`,
        ]);
        expect(leaksOf([secret], [...lines(), { where: 'here', text: `{"err":"${text}"}` }])).toEqual([
          `${secret.name} in here`,
        ]);
      }
  });

  test('each secret in a column and in a file', () => {
    for (const secret of secrets) {
      const copy = newStateDir();
      cpSync(stateDir, copy, { recursive: true });
      const path = masterPaths(copy).database;
      const db = new Database(path);
      db.query('UPDATE nodes SET problem = ?').run(secret.value);
      db.query('UPDATE users SET email = ? || id').run(secret.value);
      db.query('UPDATE kept_answers SET sealed = ?').run(Buffer.from(`..${secret.value}`));
      db.close();
      const leaks = leaksOf([secret], columnsOf(path));
      expect(leaks).toEqual(
        expect.arrayContaining([`${secret.name} in users.email`, `${secret.name} in kept_answers.sealed`]),
      );
      expect(leaksOf([secret], filesOf(copy)).length).toBeGreaterThan(0);
    }
  });
});
