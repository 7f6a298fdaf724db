import { describe, expect, test } from 'bun:test';
import type { User } from '#contract/admin.ts';
import { testMaster } from './test-kit/master.ts';

type Postern = Awaited<ReturnType<typeof testMaster>>;

const sendWith = async (
  postern: Postern,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
) => {
  const response = await postern.fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${postern.ownerToken}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    etag: response.headers.get('etag') ?? '',
    text,
    body: text === '' ? undefined : JSON.parse(text),
  };
};

/** One thing of each kind, and a change of it by somebody else. */
async function things(postern: Postern) {
  await postern.addMachine('n1');
  const ben = await postern.enrol('ben@example.com');
  const code = await postern.issue(ben.user.id);
  const owner = postern.ownerToken;
  const token = await postern.ask<{ id: string }>(201, 'POST', '/v1/tokens', owner, {
    name: 'ci',
    permission: 'auditor',
  });
  const user = `/v1/users/${ben.user.id}`;
  return {
    ben,
    paths: [
      user,
      '/v1/users/by-email/ben@example.com',
      `/v1/devices/${ben.lease.id}`,
      `/v1/codes/${code.id}`,
      '/v1/nodes/n1',
      `/v1/tokens/${token.id}`,
    ],
    changes: {
      user: () => postern.ask(200, 'PATCH', user, owner, { role: 'admin' }),
      device: () => postern.ask(200, 'PATCH', `/v1/devices/${ben.lease.id}`, owner, { name: 'other' }),
      code: () => postern.ask(204, 'DELETE', `/v1/codes/${code.id}`, owner),
    },
  };
}

describe('an ETag', () => {
  test('is strong, on every single thing, the same as long as that is', async () => {
    const postern = await testMaster();
    const { paths } = await things(postern);
    for (const path of paths) {
      const { etag } = await sendWith(postern, 'GET', path, {});
      expect(etag).toMatch(/^"[A-Za-z0-9_.-]{22,45}"$/);
      expect((await sendWith(postern, 'GET', path, {})).etag).toBe(etag);
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await sendWith(postern, 'GET', path, { 'if-none-match': known });
        expect(again).toMatchObject({ status: 304, etag, text: '' });
      }
      expect((await sendWith(postern, 'GET', path, { 'if-none-match': '"other"' })).status).toBe(200);
    }
  });

  test('comes with what makes and changes a thing, and is that of the thing', async () => {
    const postern = await testMaster();
    const added = await sendWith(postern, 'POST', '/v1/users', {}, { email: 'x@example.com', role: 'developer' });
    const path = `/v1/users/${added.body.id}`;
    expect(added.etag).toBe((await sendWith(postern, 'GET', path, {})).etag);
    const changed = await sendWith(postern, 'PATCH', path, {}, { role: 'admin' });
    expect(changed.etag).not.toBe(added.etag);
    expect(changed.etag).toBe((await sendWith(postern, 'GET', path, {})).etag);
    expect((await sendWith(postern, 'PATCH', path, {}, { role: 'developer' })).etag).toBe(added.etag);
  });
});

describe('If-Match', () => {
  test('lets a change through as long as the thing is what the caller saw', async () => {
    const postern = await testMaster();
    const { paths, changes } = await things(postern);
    const [user = '', , device = '', code = ''] = paths;
    for (const [method, path, body, change] of [
      ['PATCH', user, { disabled: true }, changes.user],
      ['PATCH', device, { name: 'mine' }, changes.device],
      ['DELETE', code, undefined, changes.code],
      ['DELETE', device, undefined, undefined],
      ['DELETE', user, undefined, undefined],
    ] as const) {
      const { etag } = await sendWith(postern, 'GET', path, {});
      await change?.();
      const stale = change === undefined ? '"AAAAAAAAAAAAAAAAAAAAAA"' : etag;
      const before = (await sendWith(postern, 'GET', path, {})).text;
      for (const seen of [stale, `W/${stale}`, 'nonsense', '']) {
        const refused = await sendWith(postern, method, path, { 'if-match': seen }, body);
        expect({ path, ...refused }).toMatchObject({ path, status: 412, body: { code: 'precondition-failed' } });
      }
      expect((await sendWith(postern, 'GET', path, {})).text).toBe(before);
      const current = (await sendWith(postern, 'GET', path, {})).etag;
      const done = await sendWith(postern, method, path, { 'if-match': `"other", ${current}` }, body);
      expect({ path, ok: done.status < 300 }).toEqual({ path, ok: true });
    }
  });

  test('of an older answer is about what admins change, not about the traffic since', async () => {
    const postern = await testMaster();
    const { ben, paths } = await things(postern);
    const device = paths[2] ?? '';
    const seen = await sendWith(postern, 'GET', device, {});
    postern.master.fleet.recordPeers('n1', [
      { publicKey: ben.device.request.publicKey, latestHandshake: 1_796_112_000, receivedBytes: 12, sentBytes: 34 },
    ]);
    const later = await sendWith(postern, 'GET', device, { 'if-none-match': seen.etag });
    expect([later.status, later.body?.receivedBytes]).toEqual([200, 12]);
    expect((await sendWith(postern, 'PATCH', device, { 'if-match': seen.etag }, { name: 'mine' })).status).toBe(200);
    expect((await sendWith(postern, 'PATCH', device, { 'if-match': later.etag }, { name: 'other' })).status).toBe(412);
  });

  test('of what is not there finds nothing, and * takes whatever is there', async () => {
    const postern = await testMaster();
    const { paths } = await things(postern);
    const missing = await sendWith(postern, 'DELETE', '/v1/nodes/n9', { 'if-match': '*' });
    expect(missing.status).toBe(404);
    for (const path of [paths[3] ?? '', paths[2] ?? '', '/v1/nodes/n1'])
      expect((await sendWith(postern, 'DELETE', path, { 'if-match': '*' })).status).toBeLessThan(300);
  });
});

describe('a user put by e-mail address', () => {
  const path = '/v1/users/by-email/Zoe@example.com';

  test('is added once, then is as it should be', async () => {
    const postern = await testMaster();
    const revision = () =>
      postern.store.db.query<{ revision: number }, []>('SELECT revision FROM settings').get()?.revision;
    const put = (body: unknown) => postern.send('PUT', path, postern.ownerToken, body);
    const first = await put({ role: 'developer' });
    expect(first).toMatchObject({
      status: 201,
      body: { email: 'zoe@example.com', permission: 'none', disabled: false },
    });
    const raised = revision();
    expect(await put({ role: 'developer' })).toMatchObject({ status: 200, body: first.body });
    expect(revision()).toBe(raised);
    expect((await put({ role: 'admin', permission: 'auditor', disabled: true })).body).toEqual({
      ...first.body,
      role: 'admin',
      permission: 'auditor',
      disabled: true,
    });
    expect((await put({ role: 'admin' })).body).toMatchObject({ permission: 'auditor', disabled: true });
    expect(await postern.ask<User>(200, 'GET', path, postern.ownerToken)).toMatchObject({ id: first.body.id });
  });

  test('can come disabled, and is in no snapshot then', async () => {
    const postern = await testMaster();
    const added = await postern.send('PUT', path, postern.ownerToken, { role: 'developer', disabled: true });
    expect(added).toMatchObject({ status: 201, body: { disabled: true } });
    expect((await postern.send('POST', `/v1/users/${added.body.id}/codes`, postern.ownerToken, {})).status).toBe(409);
  });

  test('is only added with If-None-Match: *, only changed with If-Match: *', async () => {
    const postern = await testMaster();
    const body = { role: 'developer' };
    expect((await sendWith(postern, 'PUT', path, { 'if-match': '*' }, body)).status).toBe(412);
    expect((await sendWith(postern, 'PUT', path, { 'if-none-match': '*' }, body)).status).toBe(201);
    expect((await sendWith(postern, 'PUT', path, { 'if-none-match': '*' }, body)).status).toBe(412);
    expect((await sendWith(postern, 'PUT', path, { 'if-match': '*' }, body)).status).toBe(200);
  });

  test.each([
    ['an address that is none', '/v1/users/by-email/zoe', { role: 'developer' }, 422],
    ['a role that does not exist', path, { role: 'root' }, 422],
    ['another field', path, { role: 'developer', email: 'x@example.com' }, 422],
    ['the last owner', '/v1/users/by-email/ana@example.com', { role: 'admin', disabled: true }, 409],
  ])('is refused with %s', async (_, to, body, status) => {
    const postern = await testMaster();
    expect((await postern.send('PUT', to, postern.ownerToken, body)).status).toBe(status);
  });
});
