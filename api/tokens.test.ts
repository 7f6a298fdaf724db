import { describe, expect, test } from 'bun:test';
import type { Permission } from '#contract/admin.ts';
import type { PageOf } from '#contract/lists.ts';
import type { ApiToken, IssuedToken, TokenArea, TokenPermission } from '#contract/token.ts';
import { grantOf, newTokenOf } from './decisions/permissions.ts';
import { findToken } from './store/api-tokens.ts';
import { start, testMaster } from './test-kit/master.ts';

const day = 86_400;
const at = (seconds: number) => new Date(start.getTime() + seconds * 1000).toISOString();

/** A master with an owner's token `owner`, an operator's, an auditor's, and a way to make more. */
async function world() {
  const postern = await testMaster();
  const make = (by: string, wanted: object) => postern.ask<IssuedToken>(201, 'POST', '/v1/tokens', by, wanted);
  const person = async (name: string, permission: TokenPermission) => {
    const user = await postern.addPerson(`${name}@example.com`, permission);
    const token = await make(postern.ownerToken, { name: 'own', permission, userId: user.id });
    return { user, id: token.id, token: token.token };
  };
  const uses = (token: string) => postern.send('GET', '/v1/tokens', token).then(({ status }) => status);
  const oz = await person('oz', 'operator');
  const aud = await person('aud', 'auditor');
  return { ...postern, make, uses, oz, aud };
}

describe('a token', () => {
  test('is shown once, and stored as a hash alone', async () => {
    const { make, ask, ownerToken, owner, store } = await world();
    const made = await make(ownerToken, { name: 'ci', permission: 'operator', areas: ['users', 'codes'] });
    expect(made).toEqual({
      id: made.id,
      name: 'ci',
      userId: owner.id,
      email: owner.email,
      permission: 'operator',
      areas: ['users', 'codes'],
      createdAt: at(0),
      expiresAt: at(90 * day),
      lastUsedAt: null,
      token: expect.stringMatching(/^pst_[A-Za-z0-9_-]{43}$/),
    });
    const { token, ...shown } = made;
    expect(await ask<ApiToken>(200, 'GET', `/v1/tokens/${made.id}`, ownerToken)).toEqual(shown);
    expect(Buffer.from(store.db.serialize()).includes(token)).toBe(false);
  });

  test('made with an Idempotency-Key is made once', async () => {
    const { fetch, ownerToken } = await world();
    const send = () =>
      fetch('/v1/tokens', {
        method: 'POST',
        headers: { authorization: `Bearer ${ownerToken}`, 'content-type': 'application/json', 'idempotency-key': 'k1' },
        body: JSON.stringify({ name: 'ci', permission: 'auditor' }),
      }).then((response) => response.text());
    expect(await send()).toBe(await send());
  });

  test.each([
    ['of the usual length', {}, 90 * day],
    ['of a minute', { expiresIn: 60 }, 60],
    ['of a year', { expiresIn: 366 * day }, 366 * day],
    ['until a moment', { expiresAt: '2026-12-01T10:00:00+01:00' }, 3600],
  ])('%s ends when it should, not earlier', async (_, end, seconds) => {
    const { make, uses, wait, ownerToken, send } = await world();
    const { token, expiresAt } = await make(ownerToken, { name: 'ci', permission: 'auditor', ...end });
    expect(expiresAt).toBe(at(seconds));
    wait(seconds - 0.001);
    expect(await uses(token)).toBe(200);
    wait(0.001);
    expect(await send('GET', '/v1/tokens', token)).toMatchObject({
      status: 401,
      body: { code: 'token-invalid', detail: expect.stringContaining('expired') },
    });
  });

  test.each([
    ['that has both ends', { expiresIn: 60, expiresAt: at(60) }, 'expiresAt'],
    ['that is over', { expiresAt: at(0) }, 'expiresAt'],
    ['of more than a year', { expiresAt: at(367 * day) }, 'expiresAt'],
    ['of more than a year in seconds', { expiresIn: 367 * day }, 'expiresIn'],
    ['for no area', { areas: [] }, 'areas'],
    ['for an area twice', { areas: ['codes', 'codes'] }, 'areas'],
    ['for an area that is none', { areas: ['everything'] }, 'areas.0'],
    ['without a permission', { permission: 'none' }, 'permission'],
    ['with a name that lies on a screen', { name: 'a\u202eb' }, 'name'],
  ])('%s is not made', async (_, wanted, path) => {
    const { send, ownerToken } = await world();
    const answer = await send('POST', '/v1/tokens', ownerToken, { name: 'ci', permission: 'auditor', ...wanted });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid-input', errors: [{ path }] } });
  });

  test('says when it was used last, to a minute, without a write at each request', async () => {
    const { make, ask, uses, wait, ownerToken, store, master } = await world();
    const { id, token } = await make(ownerToken, { name: 'ci', permission: 'auditor' });
    const stored = () => findToken(store, id)?.lastUsedAt;
    wait(10);
    await uses(token);
    expect((await ask<ApiToken>(200, 'GET', `/v1/tokens/${id}`, ownerToken)).lastUsedAt).toBe(at(10));
    expect(stored()).toBeNull();
    master.uses.record(store);
    expect(stored()).toBe(at(10));
    wait(10);
    await uses(token);
    store.db.run('PRAGMA query_only = ON');
    expect(() => master.uses.record(store)).toThrow();
    store.db.run('PRAGMA query_only = OFF');
    expect(await uses(token)).toBe(200);
    master.uses.record(store);
    expect(stored()).toBe(at(20));
  });

  test('works by what its user may do now', async () => {
    const { ask, send, uses, ownerToken, oz } = await world();
    const add = (email: string) => send('POST', '/v1/users', oz.token, { email, role: 'developer' });
    const change = (wanted: object) => ask(200, 'PATCH', `/v1/users/${oz.user.id}`, ownerToken, wanted);
    expect((await add('a@example.com')).status).toBe(201);
    await change({ permission: 'auditor' });
    expect([(await add('b@example.com')).status, await uses(oz.token)]).toEqual([403, 200]);
    await change({ permission: 'owner' });
    expect(
      (await send('POST', '/v1/users', oz.token, { email: 'c@example.com', role: 'admin', permission: 'owner' }))
        .status,
    ).toBe(403);
    await change({ disabled: true });
    expect(await uses(oz.token)).toBe(403);
    await ask(204, 'DELETE', `/v1/users/${oz.user.id}`, ownerToken);
    expect(await uses(oz.token)).toBe(401);
  });
});

describe('whose tokens', () => {
  const names = async (listed: Promise<PageOf<ApiToken>>) =>
    (await listed).items.map(({ email, name }) => `${email} ${name}`);

  test('an owner sees all, others their own', async () => {
    const { ask, make, ownerToken, oz, aud } = await world();
    const list = (token: string, query = '') => names(ask(200, 'GET', `/v1/tokens${query}`, token));
    expect(await list(ownerToken)).toEqual(['ana@example.com first', 'oz@example.com own', 'aud@example.com own']);
    expect(await list(ownerToken, `?userId=${oz.user.id}`)).toEqual(['oz@example.com own']);
    expect(await list(oz.token)).toEqual(['oz@example.com own']);
    expect(await list(oz.token, `?userId=${aud.user.id}`)).toEqual(['oz@example.com own']);
    const { token: capped } = await make(ownerToken, { name: 'weak', permission: 'auditor' });
    expect(await list(capped, `?userId=${aud.user.id}`)).toEqual(['ana@example.com first', 'ana@example.com weak']);
  });

  test('that of another is not there, to read or to revoke', async () => {
    const { send, ownerToken, ask, oz, aud, uses } = await world();
    for (const method of ['GET', 'DELETE'])
      expect(await send(method, `/v1/tokens/${aud.id}`, oz.token)).toMatchObject({
        status: 404,
        body: { code: 'not-found' },
      });
    expect(await uses(aud.token)).toBe(200);
    await ask(204, 'DELETE', `/v1/tokens/${aud.id}`, ownerToken);
    expect(await uses(aud.token)).toBe(401);
    expect((await send('DELETE', `/v1/tokens/${aud.id}`, ownerToken)).status).toBe(404);
  });

  test('a token revokes itself, and none that may do more', async () => {
    const { send, make, ownerToken, owner, store } = await world();
    const { id, token } = await make(ownerToken, { name: 'weak', permission: 'auditor' });
    const first = store.db.query<{ id: string }, [string]>('SELECT id FROM api_tokens WHERE user_id = ?').get(owner.id);
    expect((await send('DELETE', `/v1/tokens/${first?.id}`, token)).status).toBe(403);
    expect((await send('DELETE', `/v1/tokens/${id}`, token)).status).toBe(204);
    expect((await send('GET', '/v1/users', token)).status).toBe(401);
    expect((await send('DELETE', `/v1/tokens/${first?.id}`, ownerToken)).status).toBe(204);
    expect((await send('GET', '/v1/users', ownerToken)).status).toBe(401);
  });

  test('making and revoking are written down, with the token that did it', async () => {
    const { make, ask, ownerToken, store } = await world();
    const { id, token } = await make(ownerToken, { name: 'ci', permission: 'operator' });
    await ask(201, 'POST', '/v1/users', token, { email: 'new@example.com', role: 'developer' });
    await ask(204, 'DELETE', `/v1/tokens/${id}`, token);
    const rows = store.db
      .query<{ act: string; actor: string }, [string]>('SELECT act, actor FROM audit WHERE actor LIKE ?')
      .all(`% token ${id}`);
    expect(rows.map(({ act, actor }) => [act, actor])).toEqual([
      ['user.add', `user ana@example.com token ${id}`],
      ['token.revoke', `user ana@example.com token ${id}`],
    ]);
    expect(store.db.query('SELECT 1 FROM audit WHERE subject = ? AND act = ?').get(id, 'token.add')).not.toBeNull();
  });
});

describe('a new token is worth no more', () => {
  const user = (id: string, permission: Permission) => ({
    id,
    email: `${id}@example.com`,
    role: 'developer',
    permission,
    disabled: false,
    createdAt: at(0),
  });
  const cases: [
    Permission,
    TokenPermission,
    TokenArea[] | null,
    Permission | 'self',
    TokenPermission,
    TokenArea[] | undefined,
    boolean,
  ][] = [
    // The asking user and the permission and areas of its token; whose it becomes; what is wanted; whether it is made.
    ['owner', 'owner', null, 'self', 'owner', undefined, true],
    ['owner', 'owner', null, 'self', 'auditor', ['codes'], true],
    ['owner', 'owner', null, 'operator', 'operator', undefined, true],
    ['owner', 'owner', null, 'operator', 'owner', undefined, false],
    ['owner', 'owner', null, 'none', 'auditor', undefined, false],
    ['owner', 'operator', null, 'self', 'owner', undefined, false],
    ['owner', 'operator', null, 'operator', 'auditor', undefined, false],
    ['owner', 'owner', ['tokens', 'codes'], 'self', 'owner', ['codes'], true],
    ['owner', 'owner', ['tokens', 'codes'], 'self', 'owner', ['codes', 'users'], false],
    ['owner', 'owner', ['tokens', 'codes'], 'self', 'owner', undefined, false],
    ['operator', 'owner', null, 'self', 'operator', undefined, true],
    ['operator', 'owner', null, 'self', 'owner', undefined, false],
    ['operator', 'operator', null, 'auditor', 'auditor', undefined, false],
    ['auditor', 'auditor', null, 'self', 'auditor', undefined, true],
    ['auditor', 'owner', null, 'self', 'operator', undefined, false],
  ];

  test.each(cases)(
    '%s with %s for %p makes for %s one with %s for %p: %p',
    (maker, held, heldAreas, whose, permission, areas, made) => {
      const asking = user('asking', maker);
      const holder = whose === 'self' ? asking : user('holder', whose);
      const grant = { ...grantOf(asking, { permission: held, areas: heldAreas }), userId: asking.id };
      const wanted = { name: 'ci', permission, ...(areas === undefined ? {} : { areas }) };
      const result = newTokenOf(wanted, grant, holder, start);
      expect(result).toMatchObject(made ? { ok: true } : { ok: false, reason: 'permission-denied' });
    },
  );
});
