import { describe, expect, test } from 'bun:test';
import type { Status } from '#contract/status.ts';
import { addToken } from './store/api-tokens.ts';
import { start, testMaster } from './test-kit/master.ts';

const days = (count: number) => count * 86_400;

describe('/readyz', () => {
  test('says that the master can do its work, to anybody', async () => {
    const postern = await testMaster();
    expect(await postern.send('GET', '/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
  });

  test('says by codes why it cannot, and nothing more', async () => {
    const postern = await testMaster();
    postern.wait(days(4000));
    const { status, body, headers } = await postern.send('GET', '/readyz');
    expect([status, body.code, body.reasons]).toEqual([503, 'not-ready', ['keys-expired']]);
    expect(Object.keys(body).sort()).toEqual(['code', 'instance', 'reasons', 'status', 'title', 'type']);
    expect(headers.get('retry-after')).not.toBeNull();
  });

  test('notices a clock that was set back', async () => {
    const postern = await testMaster();
    postern.wait(-days(1));
    expect((await postern.send('GET', '/readyz')).body).toMatchObject({ reasons: ['clock-behind'] });
  });

  test('notices a database that takes nothing', async () => {
    const postern = await testMaster();
    postern.store.db.run('PRAGMA query_only = ON');
    expect(await postern.send('GET', '/readyz')).toMatchObject({ status: 503, body: { code: 'storage-unavailable' } });
    postern.store.db.run('PRAGMA query_only = OFF');
    expect((await postern.send('GET', '/readyz')).status).toBe(200);
  });

  test('is bounded for strangers', async () => {
    const postern = await testMaster({ limits: { requests: 2 } });
    for (const status of [200, 200, 429]) expect((await postern.send('GET', '/readyz')).status).toBe(status);
  });
});

describe('/v1/status', () => {
  test('tells what is there, and of each thing that needs somebody', async () => {
    const postern = await testMaster();
    const wanted = { userId: postern.owner.id, name: 'ci', permission: 'auditor' as const, areas: null };
    const tokenFor = (seconds: number) => {
      const expiresAt = new Date(start.getTime() + seconds * 1000).toISOString();
      const made = addToken(postern.store, { ...wanted, expiresAt }, 'test', start);
      if (!made.ok) throw new Error(made.reason);
      return made.value.id;
    };
    const lasting = tokenFor(days(70));
    tokenFor(days(62));
    tokenFor(days(90));
    await postern.addMachine('n1');
    await postern.enrol('ben@example.com');
    postern.wait(days(61));
    tokenFor(days(62));
    const status = await postern.ask<Status>(200, 'GET', '/v1/status', postern.ownerToken);
    expect(status).toMatchObject({
      startedAt: start.toISOString(),
      uptimeSeconds: days(61),
      epoch: 1,
      ready: true,
      reasons: [],
      users: 2,
      devices: { total: 1, online: 0 },
      nodes: { total: 1, connected: 0, behind: 1 },
    });
    const told = status.warnings.map(({ code, subject }) => `${code} ${subject}`);
    expect(told[0]).toBe('node-gone n1');
    expect(told.slice(1)).toContain(`token-ends ${lasting}`);
    expect(told).toHaveLength(4);
    postern.wait(days(3240));
    const late = await postern.ask<Status>(200, 'GET', '/v1/status', postern.ownerToken);
    expect(late.warnings.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      'key-ends tokens',
      'key-ends snapshots',
      'key-ends bundles',
      'key-ends releases',
      'certificate-ends null',
      'node-gone n1',
    ]);
  });
});

describe('a request', () => {
  const id = '0190b3c2-7d4e-7a11-9c3d-5b6f7a8e9d01';

  test.each([
    ['keeps a UUID that came with it', id, id],
    ['keeps one in capitals in small letters', id.toUpperCase(), id],
    ['keeps 32 hex digits', id.replaceAll('-', ''), id.replaceAll('-', '')],
    ['gets an id instead of words', 'my request', undefined],
    ['gets an id instead of what may be a secret', `pst_${'A'.repeat(43)}`, undefined],
    ['gets an id instead of a long one', id.repeat(3), undefined],
  ])('%s', async (_, sent, kept) => {
    const postern = await testMaster();
    for (const path of ['/healthz', '/nowhere', '/v1/users']) {
      const response = await postern.fetch(path, { headers: { 'x-request-id': sent } });
      const own = response.headers.get('x-request-id') ?? '';
      if (kept === undefined) {
        expect(own).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
        expect(own).not.toBe(sent);
      } else expect(own).toBe(kept);
      const body = (await response.json()) as { instance?: string };
      if (path !== '/healthz') expect(body.instance).toBe(`urn:postern:request:${own}`);
    }
  });

  test('that fails is found in the log by its id', async () => {
    const postern = await testMaster();
    postern.store.db.run('ALTER TABLE users RENAME TO gone');
    const response = await postern.fetch('/v1/trust', { headers: { authorization: `Bearer ${postern.ownerToken}` } });
    expect(response.status).toBe(500);
    expect(JSON.stringify(postern.logged)).toContain(response.headers.get('x-request-id') ?? 'none');
  });
});
