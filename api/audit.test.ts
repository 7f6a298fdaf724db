import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditRow, AuditVerdict } from '#contract/audit.ts';
import type { PageOf } from '#contract/lists.ts';
import { beginning, chainHash } from './formats/audit-chain.ts';
import { audit } from './store/audit.ts';
import { migrations } from './store/migrations.ts';
import { createStore, openStore, type Store } from './store/open.ts';
import { verifyAudit } from './store/verify-audit.ts';
import { start, type TestMaster, testMaster } from './test-kit/master.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-audit-'));
afterAll(() => rmSync(folder, { recursive: true }));
const newPath = () => join(folder, `${crypto.randomUUID()}.db`);

const list = (postern: TestMaster, query = '') =>
  postern.ask<PageOf<AuditRow>>(200, 'GET', `/v1/audit${query}`, postern.ownerToken);
const verify = (postern: TestMaster, query = '') =>
  postern.ask<AuditVerdict>(200, 'GET', `/v1/audit/verify${query}`, postern.ownerToken);

describe('the audit log', () => {
  test('tells who did what, newest first, page by page', async () => {
    const postern = await testMaster();
    const { user } = await postern.enrol('ben@example.com');
    const { items, total } = await list(postern);
    expect(items.map(({ act }) => act)).toEqual(['device.enrol', 'code.add', 'user.add', 'token.add', 'user.add']);
    expect(items[2]).toEqual({
      id: 3,
      at: start.toISOString(),
      actor: expect.stringMatching(/^user ana@example.com token [0-9a-f-]{36}$/),
      act: 'user.add',
      subject: user.id,
      detail: { email: 'ben@example.com', role: 'developer', permission: 'none', disabled: false },
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(total).toBe(5);

    const pages: number[] = [];
    for (let query: string | null = '?limit=2'; query !== null; ) {
      const page = await list(postern, query);
      await postern.addPerson(`later-${pages.length}@example.com`);
      pages.push(...page.items.map(({ id }) => id));
      query = page.nextCursor === null ? null : `?limit=2&cursor=${page.nextCursor}`;
    }
    expect(pages).toEqual([5, 4, 3, 2, 1]);
    expect((await list(postern, '?sort=at&limit=1')).items[0]?.id).toBe(1);
  });

  test('is filtered by who, what, whom and when', async () => {
    const postern = await testMaster();
    postern.wait(60);
    const { user, lease } = await postern.enrol('ben@example.com');
    postern.wait(60);
    const { user: cem } = await postern.enrol('cem@example.com');
    await postern.ask(200, 'DELETE', `/v1/devices/${lease.id}`, postern.ownerToken);
    const acts = async (query: string) => (await list(postern, query)).items.map(({ act }) => act);
    const all = (await list(postern)).items;
    const byOwner = all.find(({ act }) => act === 'device.revoke')?.actor ?? '';
    const [minute1, minute2] = [60, 120].map((seconds) => new Date(start.getTime() + seconds * 1000).toISOString());

    expect(await acts('?act=device.revoke')).toEqual(['device.revoke']);
    expect(await acts('?act=device')).toEqual(['device.revoke', 'device.enrol', 'device.enrol']);
    expect(await acts('?act=dev')).toEqual([]);
    expect(await acts(`?subject=${lease.id}`)).toEqual(['device.revoke', 'device.enrol']);
    expect(await acts(`?actor=${encodeURIComponent(`device ${lease.id}`)}`)).toEqual(['device.enrol']);
    expect((await acts('?actor=user%20ana@example.com')).length).toBe(5);
    expect((await acts('?actor=user%20ana@example.co')).length).toBe(0);
    expect((await acts(`?token=${byOwner.slice(-36)}`)).length).toBe(5);
    expect(await acts(`?token=${user.id}`)).toEqual([]);
    expect(await acts('?actor=setup')).toEqual(['token.add', 'user.add']);
    expect(await acts(`?until=${minute1}`)).toEqual(['token.add', 'user.add']);
    expect(await acts(`?since=${minute1}&until=${minute2}`)).toEqual(['device.enrol', 'code.add', 'user.add']);
    expect(await acts(`?since=${minute2}&act=user&subject=${cem.id}`)).toEqual(['user.add']);
  });

  test.each(['?act=%25', '?act=Device', '?since=yesterday', '?subject=', '?limit=501', '?sort=id', '?nonsense=1'])(
    'is not asked for %s',
    async (query) => {
      const postern = await testMaster();
      for (const path of ['/v1/audit', ...(/sort|limit/.test(query) ? [] : ['/v1/audit/export'])])
        expect((await postern.send('GET', `${path}${query}`, postern.ownerToken)).status).toBe(422);
    },
  );

  test('has one row for each of 300 mixed acts, undone with those that fail, in one chain', async () => {
    const postern = await testMaster({ limits: { requests: 1_000_000 } });
    const before = (await list(postern)).total;
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        index % 3 === 0
          ? postern.send('POST', '/v1/users', postern.ownerToken, { email: 'same@example.com', role: 'developer' })
          : postern.send('POST', '/v1/users', postern.ownerToken, {
              email: `u${index}@example.com`,
              role: 'developer',
            }),
      ),
    );
    const made = answers.filter(({ status }) => status === 201).length;
    expect(made).toBe(201);
    const rows = (await list(postern)).total - before;
    expect(rows).toBe(made);
    expect(await verify(postern)).toMatchObject({ ok: true, rows: rows + before });
  });

  test('is exported whole and in order, as lines of JSON', async () => {
    const postern = await testMaster();
    const { store } = postern;
    for (let index = 0; index < 1_234; index++) audit(store, start, { actor: 'a', act: 'b.c', subject: `s ${index}` });
    const response = await postern.fetch('/v1/audit/export?act=b', {
      headers: { authorization: `Bearer ${postern.ownerToken}` },
    });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    // What comes after the answer began is not in it.
    audit(store, start, { actor: 'a', act: 'b.c', subject: 'late' });
    const rows = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditRow);
    expect(rows.map(({ subject }) => subject)).toEqual(Array.from({ length: 1_234 }, (_, index) => `s ${index}`));
    const [first, second] = rows as [AuditRow, AuditRow];
    expect(chainHash(first.hash, { ...second, detail: JSON.stringify(second.detail) })).toBe(second.hash);
  });

  test('is exported as a table in which nothing is a formula', async () => {
    const postern = await testMaster();
    const cells = ['=HYPERLINK("http://x")', '+1', '-1+1', '@SUM(A1)', '\t=1', ' =1', '\u200b=1', '＝1', 'a"b,c\r\nd'];
    for (const subject of cells) audit(postern.store, start, { actor: 'a', act: 'b', subject, detail: { x: '=1' } });
    const { body, headers } = await postern.send('GET', '/v1/audit/export?format=csv&act=b', postern.ownerToken);
    expect(headers.get('content-type')).toStartWith('text/csv');
    const lines = String(body).split('\r\n"');
    expect(lines[0]).toBe('"id","at","actor","act","subject","detail","hash"');
    expect(lines[1]).toContain(`"'=HYPERLINK(""http://x"")","{""x"":""=1""}"`);
    expect(lines.slice(1, 9).map((line) => line.split('","')[4]?.[0])).toEqual(Array(8).fill("'"));
    expect(lines[9]).toContain('"a""b,c\r\nd"');
  });

  test('tells what agents repaired, and is not flooded by it', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const token = await postern.tokenFor('agent', 'n1', n1.key);
    const report = (...drift: string[]) => postern.ask(204, 'POST', '/v1/agent/reports', token, { drift });
    const noted = async () =>
      (await list(postern, '?act=node.drift')).items.map(({ actor, subject, detail }) => [actor, subject, detail.line]);
    for (let times = 0; times < 5; times++) await report('the rule ACCEPT was removed');
    expect(await noted()).toEqual([['node n1', 'n1', 'the rule ACCEPT was removed']]);
    postern.wait(60);
    await report('the rule ACCEPT was removed', 'the peer K was missing');
    expect((await noted()).length).toBe(3);
    postern.wait(60);
    for (let times = 0; times < 5; times++)
      await report(...Array.from({ length: 100 }, (_, index) => `noise ${times} ${index}`));
    expect((await list(postern, '?act=node.drift')).total).toBe(120);
    expect((await list(postern, '?act=node.drift&limit=1')).items[0]?.detail).toEqual({ line: 'noise 1 16', more: 83 });
  });

  test('has the alert that another key tried a code', async () => {
    const postern = await testMaster();
    const { code } = await postern.enrol('ben@example.com');
    const other = await postern.newDevice();
    expect((await postern.send('POST', '/v1/enrolments', undefined, { code, ...other.request })).status).toBe(409);
    expect((await list(postern, '?act=code.second-key')).items).toMatchObject([
      { actor: 'enrolment', detail: { publicKey: other.request.publicKey } },
    ]);
  });
});

/** A database with rows in its log, opened by a program that knows no rules. */
function tamperable(rows = 2_500): {
  path: string;
  change: (...sql: string[]) => void;
  store: () => Store;
  close: () => void;
} {
  const path = newPath();
  const made = createStore(path);
  made.write(() => {
    for (let index = 0; index < rows; index++)
      audit(made, new Date(start.getTime() + index), {
        actor: 'a',
        act: 'b',
        subject: `s ${index}`,
        detail: { index },
      });
  });
  made.close();
  let opened: Store | undefined;
  return {
    path,
    change: (...sql) => {
      const db = new Database(path);
      db.run('DROP TRIGGER audit_is_never_changed');
      db.run('DROP TRIGGER audit_is_never_shortened');
      for (const statement of sql) db.run(statement);
      db.close();
    },
    store: () => (opened ??= openStore(path)),
    close: () => opened?.close(),
  };
}

describe('the chain', () => {
  test('of an empty log holds', async () => {
    const store = createStore(':memory:');
    expect(await verifyAudit(store)).toEqual({ ok: true, rows: 0, head: null, firstBroken: null, known: null });
  });

  test('holds, and tells of a kept head', async () => {
    const { store, close } = tamperable();
    const { head } = await verifyAudit(store());
    audit(store(), start, { actor: 'a', act: 'b', subject: 'c' });
    const again = await verifyAudit(store(), head ?? '');
    expect(again).toMatchObject({ ok: true, rows: 2_501, firstBroken: null, known: { id: 2_500, rowsSince: 1 } });
    expect(again.head).not.toBe(head);
    close();
  });

  const tampering: [string, string[], number][] = [
    ['another actor', [`UPDATE audit SET actor = 'x' WHERE id = 1200`], 1200],
    ['another act', [`UPDATE audit SET act = 'x' WHERE id = 1`], 1],
    ['another subject', [`UPDATE audit SET subject = 'x' WHERE id = 2500`], 2500],
    ['another detail', [`UPDATE audit SET detail = '{}' WHERE id = 1000`], 1000],
    ['a detail written otherwise', [`UPDATE audit SET detail = '{"index": 6}' WHERE id = 7`], 7],
    ['another time', [`UPDATE audit SET at = '2020-01-01T00:00:00.000Z' WHERE id = 1001`], 1001],
    ['another hash', [`UPDATE audit SET hash = '${'0'.repeat(64)}' WHERE id = 30`], 30],
    ['a missing first row', ['DELETE FROM audit WHERE id = 1'], 2],
    ['a missing row', ['DELETE FROM audit WHERE id = 1500'], 1501],
    ['missing rows where one chunk ends', ['DELETE FROM audit WHERE id BETWEEN 999 AND 1002'], 1003],
    [
      'two rows that changed places',
      [
        'UPDATE audit SET id = 9001 WHERE id = 40',
        'UPDATE audit SET id = 40 WHERE id = 41',
        'UPDATE audit SET id = 41 WHERE id = 9001',
      ],
      40,
    ],
    [
      'a row put in between',
      [
        'DELETE FROM audit WHERE id = 51',
        `INSERT INTO audit SELECT 51, at, actor, act, 'new', detail, hash FROM audit WHERE id = 50`,
      ],
      51,
    ],
    ['a tail cut off', ['DELETE FROM audit WHERE id > 2400'], 2401],
    ['a log that was emptied', ['DELETE FROM audit'], 1],
  ];

  test.each(tampering)('shows %s', async (_, sql, firstBroken) => {
    const { change, store, close } = tamperable();
    change(...sql);
    expect(await verifyAudit(store())).toMatchObject({ ok: false, firstBroken });
    close();
  });

  const forgetCount = `UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM audit) WHERE name = 'audit'`;

  test('shows by a kept head what was cut off without a trace', async () => {
    const { path, change, store, close } = tamperable();
    const kept = (await verifyAudit(store())).head ?? '';
    close();
    change('DELETE FROM audit WHERE id > 2400', forgetCount);
    const cut = openStore(path);
    expect(await verifyAudit(cut)).toMatchObject({ ok: true, rows: 2_400 });
    expect(await verifyAudit(cut, kept)).toMatchObject({ ok: false, firstBroken: null, known: null });
    cut.close();
  });

  test('that was written anew from the middle shows by a kept head', async () => {
    const { path, change, store, close } = tamperable(20);
    const kept = (await verifyAudit(store())).head ?? '';
    close();
    change(`UPDATE audit SET subject = 'x' WHERE id = 10`);
    const db = new Database(path);
    let hash = beginning;
    for (const row of db.query<Parameters<typeof chainHash>[1], []>('SELECT * FROM audit ORDER BY id').all()) {
      hash = chainHash(hash, row);
      db.query('UPDATE audit SET hash = ? WHERE id = ?').run(hash, row.id);
    }
    db.close();
    const forged = openStore(path);
    expect(await verifyAudit(forged)).toMatchObject({ ok: true });
    expect(await verifyAudit(forged, kept)).toMatchObject({ ok: false });
    forged.close();
  });

  test('is there for the rows from before it', async () => {
    const path = newPath();
    const db = new Database(path);
    for (const sql of migrations.slice(0, 4)) db.run(String(sql));
    for (let index = 0; index < 10; index++)
      db.query(`INSERT INTO audit (at, actor, act, subject, detail) VALUES (?, 'a', 'b', ?, '{"x": 1}')`).run(
        start.toISOString(),
        `s ${index}`,
      );
    db.run('PRAGMA user_version = 4');
    db.close();
    const store = openStore(path);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, rows: 10 });
    expect(store.db.query('SELECT id, subject, detail FROM audit WHERE id = 7').get()).toEqual({
      id: 7,
      subject: 's 6',
      detail: '{"x": 1}',
    });
    expect(() => store.db.run(`UPDATE audit SET actor = 'x'`)).toThrow('only grows');
    expect(() => store.db.run('DELETE FROM audit')).toThrow('only grows');
    audit(store, start, { actor: 'a', act: 'b', subject: 'next' });
    expect(await verifyAudit(store)).toMatchObject({ ok: true, rows: 11 });
    store.close();
  });

  test('is looked through while others write', async () => {
    const { store, close } = tamperable(5_000);
    const verdict = verifyAudit(store());
    for (let index = 0; index < 20; index++) {
      audit(store(), start, { actor: 'a', act: 'b', subject: 'meanwhile' });
      await new Promise(setImmediate);
    }
    expect(await verdict).toMatchObject({ ok: true, rows: 5_000 });
    expect(await verifyAudit(store())).toMatchObject({ ok: true, rows: 5_020 });
    close();
  });

  test('is not fooled by an act that is undone meanwhile', async () => {
    const { store, close } = tamperable(3_000);
    const verdict = verifyAudit(store());
    await new Promise(setImmediate);
    expect(() =>
      store().write(() => {
        audit(store(), start, { actor: 'a', act: 'b', subject: 'undone' });
        throw new Error('no');
      }),
    ).toThrow('no');
    audit(store(), start, { actor: 'a', act: 'b', subject: 'kept' });
    expect(await verdict).toMatchObject({ ok: true });
    expect(await verifyAudit(store())).toMatchObject({ ok: true, rows: 3_001 });
    close();
  });
});
