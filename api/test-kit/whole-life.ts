import { join } from 'node:path';
import { exportJWK } from 'jose';
import { assertion, credential, wireguardKey } from './keys.ts';
import type { Finding, Secret } from './leaks.ts';
import { run } from './processes.ts';

type Body = Record<string, string> & { join: { sh: string } };
type Answer = { status: number; body: Body };

/** All that was secret in the life of an installation, and all that was answered. */
export type Told = { secrets: Secret[]; answers: Finding[] };

export function learn({ secrets }: Told, name: string, value: string | undefined): string {
  if (value === undefined || value.length < 10) throw new Error(`${name} is no secret: ${value}`);
  secrets.push({ name, value });
  return value;
}

/** Runs a command of the master that must do well. */
export async function ran({ answers }: Told, argv: string[], stdin: string): Promise<void> {
  const { status, stdout, stderr } = await run(argv, stdin);
  if (status !== 0) throw new Error(stderr);
  answers.push({ where: `the output of ${argv[0]} ${argv[1]}`, text: stdout + stderr });
}

/** What people, scripts, agents and devices do in the life of an installation, in the right way and in wrong ones. */
export async function wholeLife(
  told: Told,
  { url, stateDir, owner, passphrase }: { url: string; stateDir: string; owner: string; passphrase: string },
): Promise<void> {
  const { secrets, answers } = told;
  /** One request. `shown` takes what the answer is there to tell, which is looked for in all the rest of it. */
  const ask = async (
    method: string,
    path: string,
    token?: string,
    body?: unknown,
    { shown, headers = {} }: { shown?: (body: Body) => (string | undefined)[]; headers?: Record<string, string> } = {},
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
  const expected = async (status: number, ...request: Parameters<typeof ask>): Promise<Body> => {
    const answer = await ask(...request);
    if (answer.status !== status) throw new Error(`${request[0]} ${request[1]}: ${JSON.stringify(answer)}`);
    return answer.body;
  };
  const privateKey = async (name: string, key: CryptoKey) => learn(told, name, (await exportJWK(key)).d);
  const exchange = async (kind: 'agent' | 'device', sender: string, key: Awaited<ReturnType<typeof credential>>) => {
    const signed = learn(told, `an assertion of ${kind}`, await assertion(kind, sender, key, new Date()));
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
    return learn(told, `a token of ${kind}`, token);
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
  const idempotency = { 'idempotency-key': learn(told, 'an idempotency key', crypto.randomUUID()) };
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
  learn(told, 'a code', code);
  const otherCode = (
    await expected(201, 'POST', `/v1/users/${userId}/codes`, owner, {}, { shown: ({ code }) => [code] })
  ).code;
  learn(told, 'a code that is never used', otherCode);
  const deviceKey = await credential();
  await privateKey('the private key of a device', deviceKey.sign);
  const device = { publicKey: wireguardKey(), credentialKey: deviceKey.x, deviceName: 'laptop', platform: 'linux' };
  const redeem = () =>
    expected(201, 'POST', '/v1/enrolments', undefined, { code, ...device }, { shown: ({ token }) => [token] });
  const { id: deviceId = '', address, token: enrolment = '' } = await redeem();
  await redeem();
  learn(told, 'an enrolment token', enrolment);
  const confirm = { publicKey: device.publicKey, address };
  await expected(200, 'PUT', `/v1/enrolments/${deviceId}`, enrolment, confirm);
  await expected(200, 'PUT', `/v1/enrolments/${deviceId}`, enrolment, confirm);
  await expected(409, 'POST', '/v1/enrolments', undefined, { code, ...device, publicKey: wireguardKey() });
  const deviceToken = await exchange('device', deviceId, deviceKey);
  await expected(200, 'GET', '/v1/device/bundle', deviceToken);
  await expected(200, 'GET', '/v1/agent/snapshot', agent);
  await expected(200, 'GET', '/v1/agent/bundles', agent);
  await expected(204, 'POST', '/v1/agent/reports', agent, { drift: ['the peer was missing'], problem: 'none' });

  // Another node, which comes with a code.
  const issued = await expected(201, 'POST', '/v1/node-codes', owner, { name: 'n2' }, { shown: ({ code }) => [code] });
  const machine = {
    code: learn(told, 'a code for a node', issued.code),
    publicKey: wireguardKey(),
    agentKey: (await credential()).x,
    mesh: { publicKey: wireguardKey() },
    endpoints: ['198.51.100.2:51820'],
  };
  await expected(201, 'POST', '/v1/node-enrolments', undefined, machine);
  await expected(201, 'POST', '/v1/node-enrolments', undefined, machine);
  await expected(409, 'POST', '/v1/node-enrolments', undefined, { ...machine, publicKey: wireguardKey() });
  await expected(204, 'PUT', '/v1/agent/mesh', agent, { publicKey: wireguardKey() });
  await expected(200, 'PATCH', '/v1/nodes/n2', owner, { draining: true });
  await expected(204, 'DELETE', '/v1/nodes/n2', owner);

  // Tokens of scripts.
  const add = (wanted: object, headers = {}) =>
    expected(201, 'POST', '/v1/tokens', owner, wanted, { shown: ({ token }) => [token], headers });
  const script = await add({ name: 'script', permission: 'owner' }, { 'idempotency-key': crypto.randomUUID() });
  learn(told, 'the token of a script', script.token);
  const revoked = await add({ name: 'revoked', permission: 'auditor' });
  learn(told, 'a token that was revoked', revoked.token);
  await expected(200, 'GET', '/v1/users', revoked.token);
  await expected(204, 'DELETE', `/v1/tokens/${revoked.id}`, owner);
  await expected(401, 'GET', '/v1/users', revoked.token);

  // A webhook, whose secret signs what is sent and is shown when it is made.
  const hook = { name: 'chat', url: 'https://hooks.invalid/in' };
  const webhook = await expected(201, 'POST', '/v1/webhooks', owner, hook, { shown: ({ secret }) => [secret] });
  learn(told, 'the secret of a webhook', webhook.secret?.slice('whsec_'.length));
  const rotate = `/v1/webhooks/${webhook.id}/rotate-secret`;
  const rotated = await expected(201, 'POST', rotate, owner, undefined, { shown: ({ secret }) => [secret] });
  learn(told, 'the next secret of a webhook', rotated.secret?.slice('whsec_'.length));
  await expected(200, 'POST', `/v1/webhooks/${webhook.id}/test`, owner);

  // Whatever can be read.
  const token = script.token ?? '';
  const things: Record<string, string> = {
    '{email}': 'ben@example.com',
    'nodes/{name}': 'nodes/n1',
    'networks/{name}': 'networks/lan',
    'services/{name}': 'services/wiki',
    '{revision}': '1',
  };
  const lan = { name: 'lan', cidr: '172.31.0.0/16', gateways: [{ node: 'n1', device: 'eth7' }] };
  await expected(201, 'POST', '/v1/networks', owner, lan);
  await expected(201, 'POST', '/v1/services', owner, { name: 'wiki', address: '172.31.0.9', ports: ['tcp/443'] });
  for (const path of readable(await expected(200, 'GET', '/swagger/json'))) {
    const filled = Object.entries(things).reduce((text, [name, value]) => text.replace(name, value), path);
    await expected(200, 'GET', filled, token);
  }
  await expected(200, 'DELETE', '/v1/services/wiki', owner);
  await expected(200, 'DELETE', '/v1/networks/lan', owner);
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

  await ran(told, ['keys', 'renew', '--state-dir', stateDir], passphrase);
  const backup = join(stateDir, 'backup.age');
  await ran(told, ['backup', 'create', '--state-dir', stateDir, '--out', backup], passphrase);
  await ran(told, ['backup', 'verify', '--file', backup], passphrase);
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
