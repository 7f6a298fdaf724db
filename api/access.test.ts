import { describe, expect, test } from 'bun:test';
import { SignJWT } from 'jose';
import { signedTypes } from '#contract/trust.ts';
import { signAccessToken, signEnrolmentToken } from './keys/tokens.ts';
import { makeKey, useKey } from './keys/working-keys.ts';
import { addApiToken } from './store/api-tokens.ts';
import { revokeDevice } from './store/devices.ts';
import { start, testMaster } from './test-kit/master.ts';

type Guard = 'public' | 'read' | 'operate' | 'own' | 'agent' | 'device' | 'enrolment';

/** Every route there is, and who may use it. A new route fails the first test until it is listed here. */
const guards: Record<string, Guard> = {
  'GET /healthz': 'public',
  'GET /v1/trust': 'public',
  'GET /join.sh': 'public',
  'GET /client/manifest': 'public',
  'GET /client/postern-client.js': 'public',
  'GET /swagger': 'public',
  'GET /swagger/assets/:file': 'public',
  'GET /swagger/json': 'public',
  'POST /v1/enrolments': 'public',
  'POST /v1/agent/tokens': 'public',
  'POST /v1/device/tokens': 'public',
  'GET /v1/users': 'read',
  'POST /v1/users': 'operate',
  'GET /v1/users/:id': 'read',
  'PATCH /v1/users/:id': 'operate',
  'DELETE /v1/users/:id': 'operate',
  'GET /v1/users/by-email/:email': 'read',
  'PUT /v1/users/by-email/:email': 'operate',
  'GET /v1/users/:id/codes': 'read',
  'POST /v1/users/:id/codes': 'operate',
  'GET /v1/codes': 'read',
  'GET /v1/codes/:id': 'read',
  'DELETE /v1/codes/:id': 'operate',
  'GET /v1/devices': 'read',
  'GET /v1/devices/:id': 'read',
  'PATCH /v1/devices/:id': 'operate',
  'DELETE /v1/devices/:id': 'operate',
  'GET /v1/networks': 'read',
  'POST /v1/networks': 'operate',
  'DELETE /v1/networks/:name': 'operate',
  'GET /v1/nodes': 'read',
  'POST /v1/nodes': 'own',
  'GET /v1/nodes/:name': 'read',
  'DELETE /v1/nodes/:name': 'own',
  'PUT /v1/enrolments/:id': 'enrolment',
  'GET /v1/agent/channel': 'agent',
  'GET /v1/agent/snapshot': 'agent',
  'GET /v1/agent/bundles': 'agent',
  'POST /v1/agent/reports': 'agent',
  'GET /v1/device/bundle': 'device',
  'DELETE /v1/device': 'device',
};

const many = 1_000_000;
const postern = await testMaster({ limits: { requests: many, failures: many, allFailures: many } });
const { keys, clock } = postern;
const n1 = await postern.addMachine('n1');
const ben = await postern.enrol('ben@example.com');
const operator = await postern.addPerson('oz@example.com', 'operator');
const auditor = await postern.addPerson('aud@example.com', 'auditor');
const nobody = await postern.addPerson('none@example.com', 'none');
const disabled = await postern.addPerson('off@example.com', 'owner');
const tokenOf = (user: { id: string }) => addApiToken(postern.store, user.id, start);
const disabledToken = tokenOf(disabled);
await postern.ask(200, 'PATCH', `/v1/users/${disabled.id}`, postern.ownerToken, { disabled: true });

const body = new Map([
  ['POST /v1/users', { email: 'new@example.com', role: 'developer' }],
  ['PATCH /v1/users/:id', { role: 'admin' }],
  ['PUT /v1/users/by-email/:email', { role: 'admin', disabled: true }],
  ['POST /v1/users/:id/codes', {}],
  ['PATCH /v1/devices/:id', { name: 'mine now' }],
  [
    'POST /v1/networks',
    { name: 'stolen', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth0' }], roles: ['developer'] },
  ],
  [
    'POST /v1/nodes',
    {
      name: 'n2',
      publicKey: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
      agentKey: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
      endpoints: ['198.51.100.2:51820'],
    },
  ],
  ['PUT /v1/enrolments/:id', { publicKey: ben.device.request.publicKey, address: ben.lease.address }],
  ['POST /v1/agent/reports', { applied: { epoch: 1, revision: 1 }, drift: [] }],
]);

/** The request that does something real, had it the right token. */
function attempt(route: string, token: string | undefined) {
  const [method = '', pattern = ''] = route.split(' ');
  const path = pattern
    .replace(':email', 'ben@example.com')
    .replace('/users/:id', `/users/${ben.user.id}`)
    .replace('/devices/:id', `/devices/${ben.lease.id}`)
    .replace('/enrolments/:id', `/enrolments/${ben.lease.id}`)
    .replace('/codes/:id', `/codes/${ben.user.id}`)
    .replace(':name', 'n1');
  return postern.send(method, path, token, body.get(route));
}

const bearerKey = { sub: 'n1', key: n1.key.x };
const tokens: Record<'user' | 'agent' | 'device' | 'enrolment', string> = {
  user: postern.ownerToken,
  agent: await postern.tokenFor('agent', 'n1', n1.key),
  device: await postern.tokenFor('device', ben.lease.id, ben.device.key),
  enrolment: ben.lease.token,
};

const otherKey = await useKey(await makeKey(new Date('2036-01-01T00:00:00.000Z')));
const [, payload = ''] = tokens.agent.split('.');
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const access = {
  audience: 'agent',
  typ: signedTypes.agent as string,
  kid: keys.tokens.kid,
  issuer: 'postern',
  alg: 'EdDSA',
};

function agentToken(change: Partial<typeof access>, key: Parameters<SignJWT['sign']>[0] = keys.tokens.sign) {
  const { alg, typ, kid, issuer, audience } = { ...access, ...change };
  return new SignJWT({ key: n1.key.x })
    .setProtectedHeader({ alg, typ, kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('n1')
    .setJti('x')
    .setIssuedAt(clock.now)
    .setExpirationTime(new Date(clock.now.getTime() + 600_000))
    .sign(key);
}

const long = { id: ben.lease.id, codeId: 'x', leasedAt: '2026-01-01T00:00:00.000Z' };
const past = new Date(clock.now.getTime() - 3_600_000);
const worthless: [string, string][] = [
  ['is empty', ''],
  ['is garbage', 'garbage'],
  ['is a token of nobody', `pst_${'A'.repeat(43)}`],
  ['is cut short', postern.ownerToken.slice(0, -1)],
  ['is 10 KB', `pst_${'A'.repeat(10_240)}`],
  ['has alg none', `${base64url({ alg: 'none', typ: signedTypes.agent })}.${payload}.`],
  [
    'has alg none and the right kid',
    `${base64url({ alg: 'none', typ: signedTypes.agent, kid: keys.tokens.kid })}.${payload}.`,
  ],
  ['is forged', (await signAccessToken('agent', bearerKey, otherKey, clock.now)).token],
  ['is forged under our kid', await agentToken({}, otherKey.sign)],
  ['has our public key as an HMAC secret', await agentToken({ alg: 'HS256' }, Buffer.from(keys.tokens.x, 'base64url'))],
  ['is altered', tokens.agent.replace(/^([^.]*\.)(...)/, '$1abc')],
  ['is signed with the key for bundles', (await signAccessToken('agent', bearerKey, keys.bundles, clock.now)).token],
  ['has a path for a kid', await agentToken({ kid: '../../etc/passwd' })],
  ['is from another issuer', await agentToken({ issuer: 'n1' })],
  ['has the audience of another kind', await agentToken({ audience: 'device' })],
  ['has the type of another kind', await agentToken({ typ: signedTypes.device })],
  ['is the statement behind a code', await agentToken({ typ: signedTypes.code, audience: 'code' })],
  [
    'is of a node that does not exist',
    (await signAccessToken('agent', { ...bearerKey, sub: 'n9' }, keys.tokens, clock.now)).token,
  ],
  [
    'is of an earlier node of that name',
    (await signAccessToken('agent', { sub: 'n1', key: otherKey.x }, keys.tokens, clock.now)).token,
  ],
  [
    'is of a device that does not exist',
    (await signAccessToken('device', { sub: operator.id, key: 'x' }, keys.tokens, clock.now)).token,
  ],
  ['has expired (agent)', (await signAccessToken('agent', bearerKey, keys.tokens, past)).token],
  [
    'has expired (device)',
    (await signAccessToken('device', { sub: ben.lease.id, key: ben.device.key.x }, keys.tokens, past)).token,
  ],
  [
    'has expired (enrolment)',
    await signEnrolmentToken({ ...long, codeExpiresAt: '2026-01-02T00:00:00.000Z' }, keys.tokens),
  ],
];

const guarded = Object.entries(guards).filter(([, guard]) => guard !== 'public');
const adminActs: readonly Guard[] = ['read', 'operate', 'own'];
const kindOf = (guard: Guard) => (adminActs.includes(guard) ? 'user' : guard) as keyof typeof tokens;

/** All that is stored, to see that nothing changed. */
const contents = () =>
  ['settings', 'users', 'codes', 'devices', 'nodes', 'resting_addresses', 'kept_answers', 'audit'].map((table) =>
    postern.store.db.query(`SELECT * FROM ${table}`).all(),
  );
const before = contents();

test('every route says who may use it', () => {
  const routes = postern.application.routes.map(({ method, path }) => `${method} ${path}`);
  expect(routes.sort()).toEqual(Object.keys(guards).sort());
});

describe.each(guarded)('%s', (route, guard) => {
  const refused = async (token: string | undefined, status: number, code: string) => {
    const answer = await attempt(route, token);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    if (token !== undefined && token.length > 4) expect(JSON.stringify(answer.body)).not.toContain(token);
  };

  test('needs a token', () => refused(undefined, 401, 'token-missing'));

  test.each(worthless)('refuses a token that %s', (_, token) => refused(token, 401, 'token-invalid'));

  test('refuses the tokens of others', async () => {
    for (const [kind, token] of Object.entries(tokens))
      if (kind !== kindOf(guard)) await refused(token, 401, 'token-invalid');
  });

  if (kindOf(guard) === 'user')
    test('refuses who has too little permission', async () => {
      await refused(tokenOf(nobody), 403, 'permission-denied');
      await refused(disabledToken, 403, 'permission-denied');
      if (guard !== 'read') await refused(tokenOf(auditor), 403, 'permission-denied');
      if (guard === 'own') await refused(tokenOf(operator), 403, 'permission-denied');
    });

  test('looks at the token before the body', async () => {
    const [method = ''] = route.split(' ');
    if (method === 'GET' || method === 'DELETE') return;
    const path = (route.split(' ')[1] ?? '').replace(':id', ben.user.id);
    const headers = { 'content-type': 'text/plain', 'content-length': '99999999' };
    expect((await postern.fetch(path, { method, headers, body: 'x' })).status).toBe(401);
  });
});

test('all of that changed nothing', () => expect(contents()).toEqual(before));

describe('permissions', () => {
  test('an auditor reads', async () => {
    for (const [route, guard] of guarded)
      if (guard === 'read') expect([200, 404]).toContain((await attempt(route, tokenOf(auditor))).status);
  });

  test.each([
    ['make an owner', 'POST', '/v1/users', { email: 'x@example.com', role: 'admin', permission: 'owner' }],
    ['make an auditor', 'POST', '/v1/users', { email: 'x@example.com', role: 'admin', permission: 'auditor' }],
    ['raise itself', 'PATCH', `/v1/users/${operator.id}`, { permission: 'owner' }],
    ['raise another', 'PATCH', `/v1/users/${ben.user.id}`, { permission: 'operator' }],
    ['disable an owner', 'PATCH', `/v1/users/${postern.owner.id}`, { disabled: true }],
    ['lower an owner', 'PATCH', `/v1/users/${postern.owner.id}`, { permission: 'none' }],
    ['make an owner by e-mail', 'PUT', '/v1/users/by-email/x@example.com', { role: 'admin', permission: 'owner' }],
    ['disable an owner by e-mail', 'PUT', '/v1/users/by-email/ana@example.com', { role: 'admin', disabled: true }],
    ['remove an owner', 'DELETE', `/v1/users/${postern.owner.id}`, undefined],
  ])('an operator does not %s', async (_, method, path, change) => {
    expect(await postern.send(method, path, tokenOf(operator), change)).toMatchObject({
      status: 403,
      body: { code: 'permission-denied' },
    });
  });

  test('what a demotion takes is gone at the next request', async () => {
    const token = tokenOf(operator);
    expect((await attempt('GET /v1/users', token)).status).toBe(200);
    await postern.ask(200, 'PATCH', `/v1/users/${operator.id}`, postern.ownerToken, { permission: 'none' });
    expect((await attempt('GET /v1/users', token)).status).toBe(403);
  });
});

describe('a token dies with its bearer', () => {
  test('also while the request is still being sent', async () => {
    const user = await postern.addPerson('slow@example.com', 'operator');
    const token = tokenOf(user);
    const demoted = Promise.withResolvers<void>();
    const slow = new ReadableStream({
      async pull(controller) {
        await demoted.promise;
        controller.enqueue(new TextEncoder().encode('{"email":"late@example.com","role":"developer"}'));
        controller.close();
      },
    });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = postern.fetch('/v1/users', { method: 'POST', headers, body: slow });
    await Bun.sleep(5);
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { permission: 'none' });
    demoted.resolve();
    expect((await answer).status).toBe(403);
  });

  test('when a device is revoked', async () => {
    expect((await attempt('GET /v1/device/bundle', tokens.device)).status).toBe(200);
    revokeDevice(postern.store, ben.lease.id, 'test', 'device.revoke', clock.now);
    expect((await attempt('GET /v1/device/bundle', tokens.device)).status).toBe(401);
  });

  test('when a node is removed, and does not come back with its name', async () => {
    expect((await attempt('GET /v1/agent/snapshot', tokens.agent)).status).toBe(200);
    await postern.ask(204, 'DELETE', '/v1/nodes/n1', postern.ownerToken);
    expect((await attempt('GET /v1/agent/snapshot', tokens.agent)).status).toBe(401);
    await postern.addMachine('n1');
    expect((await attempt('GET /v1/agent/snapshot', tokens.agent)).status).toBe(401);
  });
});
