import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Permission } from '#contract/admin.ts';
import { TokenArea, type TokenPermission } from '#contract/token.ts';
import { sha256Hex } from './formats/hash.ts';
import { type Access, accessOf, accessTable } from './http/access.ts';
import { addToken, revokeToken } from './store/api-tokens.ts';
import { forgerOf } from './test-kit/forgeries.ts';
import { assertion } from './test-kit/keys.ts';
import { start, type TestMaster, testMaster } from './test-kit/master.ts';

/**
 * Who may use what: every route of the application, as the application itself lists them, against every kind of caller.
 * A new route is covered by being there.
 */

type Kind = Exclude<Access['kind'], 'public'>;

const many = 1_000_000;
const newWorld = () => testMaster({ limits: { requests: many, failures: many, allFailures: many } });
const postern = await newWorld();
const { clock } = postern;
const examples = await bodyExamples();

const routes = postern.application.routes.map((route) => ({ ...route, access: accessOf(route) }));
const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;
const guarded = routes.flatMap((route) => {
  const { access } = route;
  return access.kind === 'public' ? [] : [{ ...route, access, name: nameOf(route) }];
});
const forUsers = guarded.flatMap((route) => {
  const { access } = route;
  return access.kind === 'user' ? [{ ...route, access }] : [];
});

const world = await populate(postern);

/** What the OpenAPI document shows as the body of a request, which its own test holds against the schema. */
async function bodyExamples(): Promise<(method: string, path: string) => unknown> {
  type Described = { requestBody?: { content: Record<string, { example: unknown }> } };
  const { paths } = await postern.ask<{ paths: Record<string, Record<string, Described>> }>(
    200,
    'GET',
    '/swagger/json',
  );
  return (method, path) =>
    paths[path.replace(/:([^/]+)/g, '{$1}')]?.[method.toLowerCase()]?.requestBody?.content['application/json']?.example;
}

/** A node, a device and a spent code, and the ways to show who one is. */
async function populate(master: TestMaster) {
  const n1 = await master.addMachine('n1');
  const ben = await master.enrol('ben@example.com');
  const { id: openCode } = await master.issue(ben.user.id);
  const spent = master.store.db.query<{ id: string }, []>('SELECT id FROM codes WHERE spent_at IS NOT NULL').get();
  const token = (permission: TokenPermission, userId = master.owner.id, areas: TokenArea[] | null = null) => {
    const wanted = { userId, name: 'test', permission, areas, expiresAt: '2026-12-31T00:00:00.000Z' };
    const made = addToken(master.store, wanted, 'test', start);
    if (!made.ok) throw new Error(made.reason);
    return made.value;
  };
  const bearers: Record<Kind, string> = {
    user: master.ownerToken,
    agent: await master.tokenFor('agent', 'n1', n1.key),
    device: await master.tokenFor('device', ben.lease.id, ben.device.key),
    enrolment: ben.lease.token,
  };
  const parameters: Record<string, string> = {
    '/users/:id': ben.user.id,
    '/devices/:id': ben.lease.id,
    '/enrolments/:id': ben.lease.id,
    '/codes/:id': openCode,
    '/tokens/:id': token('auditor').id,
    ':email': ben.user.email,
    ':name': 'n1',
    ':revision': '1',
  };
  const pathOf = (pattern: string) => {
    const filled = Object.entries(parameters).reduce(
      (path, [name, value]) => path.replace(name, name.replace(/:.*/, value)),
      pattern,
    );
    return filled.replace(/:[^/]+/g, ben.user.id);
  };
  const bodies: Record<string, unknown> = {
    'PUT /v1/enrolments/:id': { publicKey: ben.device.request.publicKey, address: ben.lease.address },
    'POST /v1/tokens': { name: 'ci', permission: 'auditor', areas: ['tokens'] },
    'POST /v1/users': { email: 'new@example.com', role: 'developer' },
    'PATCH /v1/users/:id': { role: 'admin' },
    'PATCH /v1/nodes/:name': { draining: true },
    'PUT /v1/users/by-email/:email': { role: 'admin', disabled: true },
  };
  /** The request that does something real, had it the right token. */
  const attempt = (method: string, path: string, token: string | undefined) =>
    master.send(method, pathOf(path), token, bodies[`${method} ${path}`] ?? examples(method, path));
  return { n1, ben, codeId: spent?.id ?? '', token, bearers, attempt };
}

/** All that is stored but tokens, which these tests make, to see that nothing else changed. */
function contents(): Record<string, unknown[]> {
  const { db } = postern.store;
  const tables = db
    .query<{ name: string }, []>(
      `SELECT name FROM sqlite_master
       WHERE type = 'table' AND name NOT IN ('pulse', 'api_tokens', 'audit', 'sqlite_sequence')`,
    )
    .all();
  return {
    ...Object.fromEntries(tables.map(({ name }) => [name, db.query(`SELECT * FROM ${name}`).all()])),
    audit: db.query(`SELECT * FROM audit WHERE act <> 'token.add'`).all(),
  };
}

const refused = async (
  { method, path }: { method: string; path: string },
  token: string | undefined,
  ...[status, code]: [number, string]
) => {
  const answer = await world.attempt(method, path, token);
  expect(answer).toMatchObject({ status, body: { code } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  if (token !== undefined && token.length > 4) expect(JSON.stringify(answer.body)).not.toContain(token);
};

describe('every route', () => {
  test('is promised to those who may use it, and to nobody else', () => {
    const promised = readFileSync(join(import.meta.dir, 'routes/access.txt'), 'utf8')
      .trimEnd()
      .split('\n');
    const declared = routes.map(({ method, path, access }) => {
      const who = access.kind === 'user' ? `${access.act} ${access.area}` : access.kind;
      return `${method} ${path} ${who}`;
    });
    const changes = {
      new: declared.filter((line) => !promised.includes(line)),
      gone: promised.filter((line) => !declared.includes(line)),
    };
    expect(changes, 'If this is meant, change these lines in api/routes/access.txt.').toEqual({ new: [], gone: [] });
  });

  test.each([
    ['nothing', {}],
    ['no security', { detail: { tags: ['Users'] } }],
    ['an area that no token has', { detail: { security: [{ userToken: [] }], tags: ['Nonsense'] } }],
    ['a scheme that does not exist', { detail: { security: [{ cookie: [] }], tags: ['Users'] } }],
  ])('that declares %s keeps the application from starting', (_, hooks) =>
    expect(() => accessTable([{ method: 'GET', path: '/v1/new', hooks }])).toThrow('GET /v1/new'),
  );

  test('that was not declared is not served', () =>
    expect(() => accessTable([])('GET', '/v1/users')).toThrow('nobody declared'));

  const verbs = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'PROPFIND', 'PURGE', 'QUERY'];
  test.each([...new Set(routes.map(({ path }) => path))])('%s takes no verb but its own', async (path) => {
    const own = routes.filter((route) => route.path === path).map(({ method }) => method);
    for (const verb of verbs.filter((each) => !own.includes(each)))
      for (const token of [undefined, ...Object.values(world.bearers)]) {
        const answer = await world.attempt(verb, path, token);
        expect(answer).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } });
        expect(answer.headers.get('allow')?.split(', ')).toEqual(own);
      }
  });
});

const forger = await forgerOf(postern, {
  agent: { sub: 'n1', key: world.n1.key.x },
  device: { sub: world.ben.lease.id, key: world.ben.device.key.x },
  enrolment: { sub: world.ben.lease.id, key: world.codeId },
});

const runOut = world.token('owner');
postern.store.db.query('UPDATE api_tokens SET expires_at = ? WHERE id = ?').run(start.toISOString(), runOut.id);
const revoked = world.token('owner');
revokeToken(postern.store, revoked.id, 'test', start);
const ofOwner = postern.ownerToken;

const worthless: Record<Kind, [string, string][]> = {
  user: [
    ['is of nobody', `pst_${'A'.repeat(43)}`],
    ['is cut short', ofOwner.slice(0, -1)],
    ['is longer', `${ofOwner}A`],
    ['is in other letters', ofOwner.toUpperCase().replace('PST_', 'pst_')],
    ['is without what tells it is ours', ofOwner.slice(4)],
    ['is 10 KB', `pst_${'A'.repeat(10_240)}`],
    ['has run out', runOut.token],
    ['was revoked', revoked.token],
    ['is a hash from the database', sha256Hex(ofOwner)],
    ...(await forger.forgeries('agent')),
  ],
  agent: await forger.forgeries('agent'),
  device: await forger.forgeries('device'),
  enrolment: await forger.forgeries('enrolment'),
};

describe('a forged token', () => {
  test.each(['agent', 'device', 'enrolment'] as const)('would be taken as one of %s, were it ours', async (kind) => {
    for (const { method, path, access } of guarded.filter(
      (route) => route.access.kind === kind && route.method === 'GET',
    ))
      expect([access.kind, (await world.attempt(method, path, await forger.forge(kind))).status]).not.toEqual([
        kind,
        401,
      ]);
  });
});

describe.each(guarded)('$name', (route) => {
  const { access, method, path } = route;

  test('needs a token', () => refused(route, undefined, 401, 'token-missing'));

  test.each([['is empty', ''], ['is garbage', 'garbage'], ...worthless[access.kind]])(
    'refuses a token that %s',
    (_, token) => refused(route, token, 401, 'token-invalid'),
  );

  if (method === 'GET')
    test('is no more open to HEAD', async () => {
      for (const token of [undefined, ...worthless[access.kind].map(([, each]) => each)])
        expect((await world.attempt('HEAD', path, token)).status).toBe(401);
    });

  test('refuses the tokens of others', async () => {
    for (const [kind, token] of Object.entries(world.bearers))
      if (kind !== access.kind) await refused(route, token, 401, 'token-invalid');
    const signed = await assertion('agent', 'n1', world.n1.key, clock.now);
    await refused(route, signed, 401, 'token-invalid');
    await refused(route, world.ben.code, 401, 'token-invalid');
  });

  test('looks at the token before the body', async () => {
    if (method === 'GET' || method === 'DELETE') return;
    const headers = { 'content-type': 'text/plain', 'content-length': '99999999' };
    const answer = await postern.fetch(path.replace(/:[^/]+/g, world.ben.user.id), { method, headers, body: 'x' });
    expect(answer.status).toBe(401);
  });
});

const people: Record<string, string> = {};
for (const permission of ['owner', 'operator', 'auditor', 'none'] as const)
  people[permission] = (await postern.addPerson(`${permission}@example.com`, permission)).id;
const off = await postern.addPerson('off@example.com', 'owner');
const offToken = world.token('owner', off.id);
await postern.ask(200, 'PATCH', `/v1/users/${off.id}`, postern.ownerToken, { disabled: true });

const enough: Record<string, readonly Permission[]> = {
  read: ['auditor', 'operator', 'owner'],
  operate: ['operator', 'owner'],
  own: ['owner'],
};
const otherLease = await postern.ask<{ token: string }>(201, 'POST', '/v1/enrolments', undefined, {
  code: (await postern.issue(world.ben.user.id)).code,
  ...(await postern.newDevice()).request,
});
const before = contents();

describe.each(forUsers)('$name', (route) => {
  const { access, name } = route;
  const denied = (token: string) => refused(route, token, 403, 'permission-denied');

  test('refuses who has too little permission: the user or the token', async () => {
    for (const ofUser of ['owner', 'operator', 'auditor', 'none'] as const)
      for (const ofToken of ['owner', 'operator', 'auditor'] as const) {
        const isEnough = [ofUser, ofToken].every((permission) => enough[access.act]?.includes(permission));
        if (!isEnough) await denied(world.token(ofToken, people[ofUser]).token);
      }
  });

  if (route.method === 'GET')
    test('refuses HEAD to who may not read', async () => {
      const areas = TokenArea.options.filter((area) => area !== access.area);
      for (const { token } of [offToken, world.token('owner', people.owner, areas)])
        expect((await world.attempt('HEAD', route.path, token)).status).toBe(403);
    });

  test('refuses a disabled user', () => denied(offToken.token));

  test('refuses a token for the other areas', () =>
    denied(
      world.token(
        'owner',
        people.owner,
        TokenArea.options.filter((area) => area !== access.area),
      ).token,
    ));

  test('lets in the least token that is enough', async () => {
    const fresh = await newWorld();
    const { attempt, token } = await populate(fresh);
    const permission = enough[access.act]?.[0] as TokenPermission;
    const { id } = await fresh.addPerson('least@example.com', permission);
    const answer = await attempt(route.method, route.path, token(permission, id, [access.area]).token);
    expect([401, 403, 405, 500]).not.toContain(answer.status);
    if (name.startsWith('GET')) expect(answer.status).toBeOneOf([200, 404]);
  });
});

/** Where a route names something that belongs to somebody, and what others are told who name it. */
const belonging: Record<string, (method: string, path: string) => Promise<{ status: number }>> = {
  'user tokens': (method, path) => world.attempt(method, path, world.token('operator', people.operator).token),
  enrolment: (method, path) => world.attempt(method, path, otherLease.token),
};
const naming = guarded.filter(({ path }) => path.includes('/:'));

test("another's thing is not there for who names it", async () => {
  const told: string[] = [];
  for (const { name, method, path, access } of naming) {
    const owner = belonging[access.kind === 'user' ? `user ${access.area}` : access.kind];
    if (owner !== undefined) told.push(`${name} ${(await owner(method, path)).status}`);
  }
  expect(told.sort()).toEqual(['DELETE /v1/tokens/:id 404', 'GET /v1/tokens/:id 404', 'PUT /v1/enrolments/:id 401']);
});

test('agents and devices name nothing: they get what is theirs by their token', () =>
  expect(naming.filter(({ access }) => access.kind === 'agent' || access.kind === 'device')).toEqual([]));

test('all of that changed nothing', () => {
  expect(Object.keys(before).length).toBeGreaterThan(7);
  expect(contents()).toEqual(before);
});
