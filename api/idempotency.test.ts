import { describe, expect, test } from 'bun:test';
import type { IssuedCode, User } from '#contract/admin.ts';
import { addApiToken } from './store/api-tokens.ts';
import { start, testMaster } from './test-kit/master.ts';

type Postern = Awaited<ReturnType<typeof testMaster>>;

async function create(
  postern: Postern,
  path: string,
  key: string | undefined,
  body: unknown,
  token = postern.ownerToken,
) {
  const response = await postern.fetch(path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    text,
    body: JSON.parse(text),
    location: response.headers.get('location'),
    etag: response.headers.get('etag'),
    replayed: response.headers.get('idempotency-replayed'),
    retryAfter: response.headers.get('retry-after'),
  };
}

const keptRows = ({ store }: Postern) =>
  store.db.query<{ total: number }, []>('SELECT count(*) AS total FROM kept_answers').get()?.total;
const audited = ({ store }: Postern) =>
  store.db.query<{ total: number }, []>('SELECT count(*) AS total FROM audit').get()?.total;
const ben = { email: 'ben@example.com', role: 'developer' };

describe('a creating request with an Idempotency-Key', () => {
  test('sent again gets the same answer, and does nothing', async () => {
    const postern = await testMaster();
    const first = await create(postern, '/v1/users', 'key-1', ben);
    expect(first).toMatchObject({ status: 201, location: `/v1/users/${first.body.id}`, replayed: null });
    const rows = audited(postern);
    for (const key of ['key-1', '"key-1"', ' key-1 ']) {
      const again = await create(postern, '/v1/users', key, ben);
      expect(again).toEqual({ ...first, replayed: 'true' });
    }
    expect(audited(postern)).toBe(rows);
    // The order of the fields is not part of a request.
    expect(
      (await create(postern, '/v1/users', 'key-1', { role: 'developer', email: 'BEN@example.com' })).replayed,
    ).toBe('true');
  });

  test('is done each time without one', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('ben@example.com');
    const [a, b] = [
      await create(postern, `/v1/users/${id}/codes`, undefined, {}),
      await create(postern, `/v1/users/${id}/codes`, undefined, {}),
    ];
    expect(a.body.code).not.toBe(b.body.code);
    expect(keptRows(postern)).toBe(0);
  });

  test('gets the code of the first time again, of which the database holds nothing that can be read', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('ben@example.com');
    const first = await create(postern, `/v1/users/${id}/codes`, 'key-1', { ttl: 600 });
    const again = await create(postern, `/v1/users/${id}/codes`, 'key-1', { ttl: 600 });
    expect(again.body as IssuedCode).toEqual(first.body);
    const { request } = await postern.newDevice();
    expect(
      (await postern.send('POST', '/v1/enrolments', undefined, { code: again.body.code, ...request })).status,
    ).toBe(201);
    const stored = Buffer.from(postern.store.db.serialize()).toString('latin1');
    for (const secret of [first.body.code, first.body.code.replaceAll('-', ''), 'key-1', postern.ownerToken])
      expect(stored).not.toContain(secret);
  });

  test.each([
    ['another body', '/v1/users', { ...ben, role: 'admin' }],
    ['another field', '/v1/users', { ...ben, permission: 'none' }],
    [
      'another path',
      '/v1/networks',
      { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth0' }] },
    ],
  ])('is refused when it comes with %s', async (_, path, body) => {
    const postern = await testMaster();
    await create(postern, '/v1/users', 'key-1', ben);
    const rows = audited(postern);
    expect(await create(postern, path, 'key-1', body)).toMatchObject({
      status: 422,
      body: { code: 'idempotency-mismatch' },
    });
    expect(audited(postern)).toBe(rows);
  });

  test.each(['', ' ', '""', 'a b', 'x'.repeat(256), 'a"b', 'ü'])('is refused when the key is %j', async (key) => {
    const postern = await testMaster();
    const answer = await create(postern, '/v1/users', key, ben).catch(() => undefined);
    // What cannot be a header at all never arrives.
    if (answer !== undefined)
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'Idempotency-Key' }] } });
    expect(keptRows(postern)).toBe(0);
  });

  test('is of its caller alone', async () => {
    const postern = await testMaster();
    const other = addApiToken(postern.store, (await postern.addPerson('oz@example.com', 'operator')).id, start);
    const first = await create(postern, '/v1/users', 'key-1', ben);
    const taken = await create(postern, '/v1/users', 'key-1', ben, other);
    expect([first.status, taken.status, taken.body.code]).toEqual([201, 409, 'already-exists']);
  });

  test('gives nothing to a caller who may no longer ask', async () => {
    const postern = await testMaster();
    const operator = await postern.addPerson('oz@example.com', 'operator');
    const token = addApiToken(postern.store, operator.id, start);
    await create(postern, '/v1/users', 'key-1', ben, token);
    await postern.ask(200, 'PATCH', `/v1/users/${operator.id}`, postern.ownerToken, { permission: 'none' });
    expect((await create(postern, '/v1/users', 'key-1', ben, token)).status).toBe(403);
  });

  test('may be tried again after a refusal', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('ben@example.com');
    expect((await create(postern, '/v1/users', 'key-1', ben)).status).toBe(409);
    await postern.ask(204, 'DELETE', `/v1/users/${id}`, postern.ownerToken);
    expect(await create(postern, '/v1/users', 'key-1', ben)).toMatchObject({ status: 201, replayed: null });
  });

  test('twice at once is done once: the other is told to wait', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('ben@example.com');
    const both = await Promise.all([1, 2, 3, 4].map(() => create(postern, `/v1/users/${id}/codes`, 'key-1', {})));
    const made = both.filter(({ status }) => status === 201);
    const told = both.filter(({ status }) => status === 409);
    expect([made.length, told.length]).toEqual([1, 3]);
    for (const answer of told)
      expect(answer).toMatchObject({ retryAfter: '1', body: { code: 'idempotency-in-flight' } });
    expect((await create(postern, `/v1/users/${id}/codes`, 'key-1', {})).text).toBe(made[0]?.text ?? '');
    expect(postern.store.db.query<{ n: number }, []>('SELECT count(*) AS n FROM codes').get()?.n).toBe(1);
  });

  test('is remembered for a day', async () => {
    const postern = await testMaster();
    await create(postern, '/v1/users', 'key-1', ben);
    postern.wait(86_399);
    expect((await create(postern, '/v1/users', 'key-1', ben)).replayed).toBe('true');
    postern.wait(1);
    expect(await create(postern, '/v1/users', 'key-1', ben)).toMatchObject({ status: 409, replayed: null });
    await create(postern, '/v1/users', 'key-2', { ...ben, email: 'carl@example.com' });
    expect(keptRows(postern)).toBe(1);
  });

  test('is not remembered past a restore, which made codes void', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('ben@example.com');
    const first = await create(postern, `/v1/users/${id}/codes`, 'key-1', {});
    postern.store.db.run('UPDATE settings SET epoch = epoch + 1');
    const again = await create(postern, `/v1/users/${id}/codes`, 'key-1', {});
    expect([again.status, again.replayed, again.body.code === first.body.code]).toEqual([201, null, false]);
  });

  test('keeps act and answer together: what cannot be remembered is not done', async () => {
    const postern = await testMaster();
    postern.store.db.run(
      `CREATE TRIGGER broken BEFORE INSERT ON kept_answers BEGIN SELECT RAISE(ABORT, 'a disk that fails'); END`,
    );
    expect((await create(postern, '/v1/users', 'key-1', ben)).status).toBe(500);
    postern.store.db.run('DROP TRIGGER broken');
    expect(await create(postern, '/v1/users', 'key-1', ben)).toMatchObject({ status: 201, replayed: null });
  });

  test('does not fill the disk', async () => {
    const postern = await testMaster();
    await create(postern, '/v1/users', 'first', ben);
    postern.store.db.run('UPDATE kept_answers SET number = 1');
    postern.store.db.run(
      `INSERT INTO kept_answers (number, id, expires_at, sealed) VALUES (100000, 'x', '2027-01-01T00:00:00.000Z', x'00')`,
    );
    await create(postern, '/v1/users', 'next', { ...ben, email: 'carl@example.com' });
    expect((await create(postern, '/v1/users', 'first', ben)).replayed).toBeNull();
    expect((await create(postern, '/v1/users', 'next', { ...ben, email: 'carl@example.com' })).replayed).toBe('true');
  });
});

test('every route that makes something takes the key', async () => {
  const postern = await testMaster();
  await postern.addMachine('n1');
  const { id } = await postern.addPerson('ben@example.com');
  const { paths } = await postern.ask<{
    paths: Record<string, Record<string, { security?: object[]; parameters?: { name: string }[] }>>;
  }>(200, 'GET', '/swagger/json');
  const asks = /^\/v1\/policy\/|^\/v1\/webhooks\/\{id\}\/test$/;
  const makes = Object.entries(paths).flatMap(([path, { post }]) =>
    post?.security?.some((scheme) => 'userToken' in scheme) && !asks.test(path) ? [{ path, post }] : [],
  );
  expect(makes.length).toBeGreaterThan(3);
  const without = makes.filter(({ post }) => !post.parameters?.some(({ name }) => name === 'Idempotency-Key'));
  expect(without.map(({ path }) => path)).toEqual([]);

  const { key, publicKey } = {
    ...(await postern.newDevice()),
    publicKey: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
  };
  const bodies: Record<string, unknown> = {
    '/v1/users': { email: 'new@example.com', role: 'developer' },
    [`/v1/users/${id}/codes`]: {},
    '/v1/networks': { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth0' }] },
    '/v1/services': { name: 'gitlab', address: '172.19.0.1', ports: ['tcp/443'] },
    '/v1/ports': { node: 'n1', device: 'eth0', ports: ['tcp/5432'] },
    '/v1/grants': { subject: 'role:admin', target: 'gitlab', until: '2030-01-01' },
    '/v1/node-codes': { name: 'n3', ttl: 600 },
    '/v1/nodes': { name: 'n2', publicKey, agentKey: key.x, endpoints: ['198.51.100.2:51820'] },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const first = await create(postern, path, 'the same key for all of them'.replaceAll(' ', '-') + path, body);
    const again = await create(postern, path, 'the same key for all of them'.replaceAll(' ', '-') + path, body);
    expect({ path, ...again }).toEqual({ path, ...first, replayed: 'true' });
    expect(again.status).toBe(201);
  }
});

test('two owners with one key each have their own users', async () => {
  const postern = await testMaster();
  const other = addApiToken(postern.store, (await postern.addPerson('second@example.com', 'owner')).id, start);
  const [a, b] = [
    await create(postern, '/v1/users', 'key', { ...ben, email: 'a@example.com' }),
    await create(postern, '/v1/users', 'key', { ...ben, email: 'b@example.com' }, other),
  ];
  expect([(a.body as User).email, (b.body as User).email]).toEqual(['a@example.com', 'b@example.com']);
});
