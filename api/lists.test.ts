import { describe, expect, test } from 'bun:test';
import type { Code, Device, NodeResource, User } from '#contract/admin.ts';
import type { PageOf } from '#contract/lists.ts';
import { codeState } from './decisions/codes.ts';
import { accessOf } from './http/access.ts';
import { findCode } from './store/codes.ts';
import { testMaster } from './test-kit/master.ts';

type Postern = Awaited<ReturnType<typeof testMaster>>;

const list = <T>(postern: Postern, path: string) => postern.ask<PageOf<T>>(200, 'GET', path, postern.ownerToken);

/** Follows the links from the first page to the last; `between` may change things meanwhile. */
async function follow<T>(postern: Postern, path: string, between: (page: number) => Promise<unknown> = async () => {}) {
  const pages: T[][] = [];
  let next: string | undefined = path;
  while (next !== undefined) {
    const answer = await postern.send('GET', next, postern.ownerToken);
    expect([next, answer.status]).toEqual([next, 200]);
    pages.push(answer.body.items);
    const link = answer.headers.get('link');
    expect(link === null).toBe(answer.body.nextCursor === null);
    next = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1];
    if (link !== null) expect(next).toContain(encodeURIComponent(answer.body.nextCursor));
    await between(pages.length);
  }
  return pages;
}

const numbered = (n: number) => `p${String(n).padStart(3, '0')}@example.com`;
const emails = (users: readonly User[]) => users.map(({ email }) => email);

describe('a list of users', () => {
  const some = async (count: number) => {
    const postern = await testMaster();
    for (let n = 0; n < count; n++) {
      await postern.addPerson(numbered(n), n % 5 === 0 ? 'auditor' : 'none', n % 2 === 0 ? 'developer' : 'admin');
      if (n % 3 === 0) postern.wait(1);
    }
    return postern;
  };

  test('has 100 on a page, and says how many there are', async () => {
    const postern = await some(120);
    const { items, total, nextCursor } = await list<User>(postern, '/v1/users');
    expect([items.length, total, nextCursor === null]).toEqual([100, 121, false]);
    expect((await list<User>(postern, '/v1/users?limit=500')).nextCursor).toBeNull();
  });

  test.each([1, 2, 7, 11, 12, 13, 500])('is whole in pages of %d, in every order', async (limit) => {
    const postern = await some(11);
    for (const sort of ['email', '-email', 'createdAt', '-createdAt']) {
      const pages = await follow<User>(postern, `/v1/users?limit=${limit}&sort=${sort}`);
      expect(pages.length).toBe(Math.ceil(12 / limit));
      const all = pages.flat();
      expect(new Set(emails(all)).size).toBe(12);
      const key = (user: User) => (sort.endsWith('email') ? user.email : `${user.createdAt} ${user.id}`);
      const keys = all.map(key);
      expect(keys).toEqual(sort.startsWith('-') ? keys.toSorted().toReversed() : keys.toSorted());
    }
  });

  test('shows nobody twice and misses nobody who stays, while others come and go', async () => {
    const postern = await some(20);
    const stay = emails((await list<User>(postern, '/v1/users')).items);
    const leavers = new Set(['p003@example.com', 'p008@example.com', 'p015@example.com']);
    const pages = await follow<User>(postern, '/v1/users?limit=4', async (page) => {
      await postern.addPerson(`a${page}@example.com`);
      await postern.addPerson(`z${page}@example.com`);
      const [leaver] = leavers;
      if (leaver === undefined) return;
      leavers.delete(leaver);
      const { id } = await postern.ask<User>(200, 'GET', `/v1/users/by-email/${leaver}`, postern.ownerToken);
      await postern.ask(204, 'DELETE', `/v1/users/${id}`, postern.ownerToken);
    });
    const seen = emails(pages.flat());
    expect(new Set(seen).size).toBe(seen.length);
    const gone = ['p003@example.com', 'p008@example.com', 'p015@example.com'];
    expect(stay.filter((email) => !gone.includes(email) && !seen.includes(email))).toEqual([]);
  });

  test.each([
    ['role=admin', ({ role }: User) => role === 'admin'],
    ['permission=auditor', ({ permission }: User) => permission === 'auditor'],
    ['disabled=true', ({ disabled }: User) => disabled],
    ['disabled=false', ({ disabled }: User) => !disabled],
    ['q=P00', ({ email }: User) => email.includes('p00')],
    ['q=%25', () => false],
    ['q=_', () => false],
    ['q=null', () => false],
    ["q='%20OR%201%3D1--", () => false],
    [
      'role=developer&permission=auditor&q=1',
      (user: User) => user.role === 'developer' && user.permission === 'auditor' && user.email.includes('1'),
    ],
  ])('is filtered by %s', async (query, belongs) => {
    const postern = await some(20);
    const { id } = await postern.ask<User>(200, 'GET', '/v1/users/by-email/p004@example.com', postern.ownerToken);
    await postern.ask(200, 'PATCH', `/v1/users/${id}`, postern.ownerToken, { disabled: true });
    const everybody = (await list<User>(postern, '/v1/users')).items;
    const wanted = emails(everybody.filter(belongs));
    const pages = await follow<User>(postern, `/v1/users?limit=3&${query}`);
    expect(emails(pages.flat())).toEqual(wanted);
    expect((await list<User>(postern, `/v1/users?${query}`)).total).toBe(wanted.length);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=-1', 'limit'],
    ['sort=id', 'sort'],
    ['sort=email%20DESC', 'sort'],
    ['sort=email&sort=email', 'sort'],
    ['disabled=1', 'disabled'],
    ['q=', 'q'],
    [`q=${'x'.repeat(101)}`, 'q'],
    ['rol=admin', ''],
    ['offset=10', ''],
    ['cursor=', 'cursor'],
    ['cursor=AAAA', 'cursor'],
    [`cursor=${Buffer.from('["email",{},"x"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('["-email","a","x"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('null').toString('base64url')}`, 'cursor'],
  ])('refuses ?%s', async (query, path) => {
    const postern = await testMaster();
    const answer = await postern.send('GET', `/v1/users?${query}`, postern.ownerToken);
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid-input', errors: [{ path }] } });
  });

  test('takes a cursor made by hand for a place, and nothing more', async () => {
    const postern = await some(3);
    for (const [at, rest] of [
      ["p001@example.com' OR 1=1 --", ['p002@example.com']],
      [7, ['ana@example.com', 'p000@example.com', 'p001@example.com', 'p002@example.com']],
    ] as const) {
      const cursor = Buffer.from(JSON.stringify(['email', at, 'x'])).toString('base64url');
      expect(emails((await list<User>(postern, `/v1/users?cursor=${cursor}`)).items)).toEqual([...rest]);
    }
  });
});

describe('a list of devices', () => {
  const fleet = async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const n2 = await postern.addMachine('n2');
    const enrolled = [];
    for (const email of ['ben@example.com', 'carl@example.com', 'dana@example.com', 'eve@example.com']) {
      enrolled.push(await postern.enrol(email));
      postern.wait(1);
    }
    const [ben, carl] = enrolled;
    await postern.ask(200, 'PATCH', `/v1/devices/${carl?.lease.id}`, postern.ownerToken, { name: 'Büro 7' });
    const seconds = Math.floor(postern.clock.now.getTime() / 1000);
    const report = async (node: string, key: typeof n1.key, publicKey = '', latestHandshake = 0) =>
      postern.ask(204, 'POST', '/v1/agent/reports', await postern.tokenFor('agent', node, key), {
        drift: [],
        peers: [{ publicKey, latestHandshake, receivedBytes: 1, sentBytes: 1 }],
      });
    await report('n1', n1.key, ben?.device.request.publicKey, seconds - 5);
    await report('n2', n2.key, carl?.device.request.publicKey, seconds - 400);
    return { postern, ben, carl };
  };

  test('is filtered, searched and sorted', async () => {
    const { postern, ben } = await fleet();
    const names = async (query: string) =>
      (await follow<Device>(postern, `/v1/devices?limit=2&${query}`)).flat().map(({ email }) => email.split('@')[0]);
    expect(await names('')).toEqual(['ben', 'carl', 'dana', 'eve']);
    expect(await names('sort=-email')).toEqual(['eve', 'dana', 'carl', 'ben']);
    expect(await names('sort=-address')).toEqual(['eve', 'dana', 'carl', 'ben']);
    expect(await names('sort=name')).toEqual(['carl', 'ben', 'dana', 'eve']);
    expect(await names(`userId=${ben?.user.id}`)).toEqual(['ben']);
    expect(await names('email=Dana@example.com')).toEqual(['dana']);
    expect(await names('platform=linux')).toEqual(['ben', 'carl', 'dana', 'eve']);
    expect(await names('platform=macos')).toEqual([]);
    expect(await names('kind=machine')).toEqual([]);
    expect(await names('q=ROW')).toEqual([]);
    expect(await names('q=LAPTOP')).toEqual(['ben', 'dana', 'eve']);
    expect(await names(`q=${encodeURIComponent('büro')}`)).toEqual(['carl']);
    expect(await names('q=EVE@')).toEqual(['eve']);
    expect(await names('q=10.91.64.66')).toEqual(['dana']);
    expect(await names('online=true')).toEqual(['ben']);
    expect(await names('online=false')).toEqual(['carl', 'dana', 'eve']);
    expect(await names('node=n1')).toEqual(['ben']);
    expect(await names('node=n2')).toEqual([]);
    expect(await names('node=n9')).toEqual([]);
    expect((await list<Device>(postern, '/v1/devices?online=false&limit=1')).total).toBe(3);
  });

  test('has no reservations, and no credential', async () => {
    const { postern, ben } = await fleet();
    const { code } = await postern.issue(ben?.user.id ?? '');
    const { request } = await postern.newDevice();
    await postern.ask(201, 'POST', '/v1/enrolments', undefined, { code, ...request });
    const { items, total } = await list<Device>(postern, '/v1/devices');
    expect([items.length, total]).toEqual([4, 4]);
    expect(JSON.stringify(items)).not.toContain(ben?.device.request.credentialKey ?? '');
  });
});

describe('a list of codes', () => {
  test('is filtered by what the codes are, as the decision says it', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    const carl = await postern.addPerson('carl@example.com');
    await postern.issue(carl.id, 60);
    const withdrawn = await postern.issue(carl.id);
    await postern.ask(204, 'DELETE', `/v1/codes/${withdrawn.id}`, postern.ownerToken);
    const late = await postern.issue(carl.id);
    await postern.ask(201, 'POST', '/v1/enrolments', undefined, {
      code: late.code,
      ...(await postern.newDevice('late')).request,
    });
    postern.wait(601);
    await postern.issue(ben.user.id);
    const leased = await postern.issue(ben.user.id);
    const { id: deviceId } = await postern.ask<{ id: string }>(201, 'POST', '/v1/enrolments', undefined, {
      code: leased.code,
      ...(await postern.newDevice()).request,
    });

    const all = (await list<Code>(postern, '/v1/codes')).items;
    expect(all).toHaveLength(6);
    for (const { id, state } of all) {
      const stored = findCode(postern.store, id);
      expect(stored === undefined ? undefined : codeState(stored, postern.clock.now)).toBe(state);
    }
    const ofState = Map.groupBy(all, ({ state }) => state);
    expect([...ofState.keys()].sort()).toEqual(['expired', 'leased', 'open', 'spent', 'withdrawn']);
    for (const [state, codes] of ofState) {
      const pages = await follow<Code>(postern, `/v1/codes?limit=1&state=${state}`);
      expect(pages.flat()).toEqual(codes);
    }
    expect((await list<Code>(postern, `/v1/codes?userId=${carl.id}&state=open`)).items.map(({ id }) => id)).toEqual([
      late.id,
    ]);
    expect((await list<Code>(postern, `/v1/users/${ben.user.id}/codes?sort=-createdAt`)).total).toBe(3);
    expect(await postern.ask<Code>(200, 'GET', `/v1/codes/${leased.id}`, postern.ownerToken)).toMatchObject({
      deviceId,
    });
  });

  test('keeps those of a user who was removed', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    await postern.ask(204, 'DELETE', `/v1/users/${ben.user.id}`, postern.ownerToken);
    expect((await list<Code>(postern, '/v1/codes')).items).toMatchObject([
      { userId: null, state: 'spent', deviceId: null },
    ]);
  });
});

test('a list of nodes is paged too', async () => {
  const postern = await testMaster();
  for (const name of ['n1', 'n3', 'n2']) await postern.addMachine(name);
  const pages = await follow<NodeResource>(postern, '/v1/nodes?limit=2&sort=-name');
  expect(pages.map((page) => page.map(({ name }) => name))).toEqual([['n3', 'n2'], ['n1']]);
});

test('no route for users leaves a parameter unheard', async () => {
  const postern = await testMaster();
  await postern.addMachine('n1');
  const { user, lease } = await postern.enrol('ben@example.com');
  const routes = postern.application.routes.filter((route) => accessOf(route).kind === 'user');
  expect(routes.length).toBeGreaterThan(20);
  for (const { method, path } of routes) {
    const filled = path
      .replace('/devices/:id', `/devices/${lease.id}`)
      .replace(':id', user.id)
      .replace(':email', user.email)
      .replace(':name', 'n1');
    const answer = await postern.send(
      method,
      `${filled}?nonsense=1`,
      postern.ownerToken,
      method === 'GET' ? undefined : {},
    );
    expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 422, 'invalid-input']);
  }
});
