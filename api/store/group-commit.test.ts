import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Snapshot } from '#contract/snapshot.ts';
import type { Master } from '../master.ts';
import { testMaster } from '../test-kit/master.ts';
import { NotStored } from './errors.ts';
import { createStore, type Store } from './open.ts';
import { committedVersion, createSettings, currentVersion, raiseRevision } from './settings.ts';
import { readSnapshot } from './snapshot.ts';
import { addUser } from './users.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-commit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const now = new Date('2026-12-01T08:00:00.000Z');
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Makes the commit of this batch fail, as a disk does that is full only then. */
function poison(store: Store): void {
  store.write(() => {
    store.db.run('PRAGMA defer_foreign_keys = ON');
    const id = crypto.randomUUID();
    store.db.run(
      `INSERT INTO codes (id, user_id, hash, backing, created_at, expires_at) VALUES ('${id}', 'nobody', '${id}', '', '', '')`,
    );
  });
}

function newStore(batchSize?: number) {
  const path = join(folder, `${crypto.randomUUID()}.db`);
  const store = createStore(path, batchSize === undefined ? {} : { batchSize });
  store.db.run('CREATE TABLE kept (id INTEGER, part INTEGER, PRIMARY KEY (id, part)) STRICT');
  createSettings(store, { pool: '10.91.64.0/18', publicUrl: 'https://vpn.example.com', document: 'role admin\n' }, now);
  const outside = new Database(path, { readonly: true });
  return {
    store,
    /** What somebody else sees, which is what is on the disk. */
    durable: (id: number) => outside.query('SELECT part FROM kept WHERE id = ?').all(id).length,
    revision: () => outside.query<{ revision: number }, []>('SELECT revision FROM settings').get()?.revision ?? 0,
    close: () => {
      outside.close();
      store.close();
    },
  };
}

/** An act of two rows and a revision, which must never be seen by halves. */
function keep(store: Store, id: number, fails = false): void {
  store.write(() => {
    store.db.query('INSERT INTO kept VALUES (?, 1)').run(id);
    raiseRevision(store, now);
    if (fails) throw new Error('refused');
    store.db.query('INSERT INTO kept VALUES (?, 2)').run(id);
  });
}

const seen = (store: Store) =>
  store.db
    .query<{ id: number }, []>('SELECT DISTINCT id FROM kept')
    .all()
    .map((row) => row.id);

describe('acts of one turn', () => {
  test('are stored by one commit, at its end', async () => {
    const { store, durable, close } = newStore();
    for (const id of [1, 2, 3]) keep(store, id);
    expect(store.db.inTransaction).toBe(true);
    expect([1, 2, 3].map(durable)).toEqual([0, 0, 0]);
    await store.settled();
    expect(store.db.inTransaction).toBe(false);
    expect([1, 2, 3].map(durable)).toEqual([2, 2, 2]);
    close();
  });

  test('are stored each by itself with a batch size of 1', () => {
    const { store, durable, close } = newStore(1);
    keep(store, 1);
    expect([durable(1), store.db.inTransaction]).toEqual([2, false]);
    expect(() => poison(store)).toThrow(NotStored);
    expect(() => keep(store, 2, true)).toThrow('refused');
    expect([durable(2), store.db.inTransaction]).toEqual([0, false]);
    close();
  });

  test('are undone one by one', async () => {
    const { store, durable, revision, close } = newStore();
    keep(store, 1);
    expect(() => keep(store, 2, true)).toThrow('refused');
    keep(store, 3);
    await store.settled();
    expect([1, 2, 3].map(durable)).toEqual([2, 0, 2]);
    expect(revision()).toBe(2);
    close();
  });

  test('are announced once, with the newest revision, after the commit', async () => {
    const { store, revision, close } = newStore();
    const heard: [number, number][] = [];
    store.onRevised((version) => heard.push([version.revision, revision()]));
    keep(store, 1);
    keep(store, 2);
    expect(() => keep(store, 3, true)).toThrow('refused');
    await store.settled();
    expect(heard).toEqual([[2, 2]]);
    keep(store, 4);
    poison(store);
    expect(await store.settled().catch((error) => error)).toBeInstanceOf(NotStored);
    expect(heard).toEqual([[2, 2]]);
    close();
  });

  test('are committed by whoever closes the store, who is told when that fails', () => {
    const good = newStore();
    keep(good.store, 1);
    good.store.close();
    expect(good.durable(1)).toBe(2);
    const bad = newStore();
    poison(bad.store);
    expect(() => bad.store.close()).toThrow(NotStored);
  });

  test('leave no version to be told that is not on the disk', async () => {
    const { store, revision, close } = newStore();
    keep(store, 1);
    expect(committedVersion(store)).toEqual({ epoch: 1, revision: 1 });
    expect(revision()).toBe(1);
    keep(store, 2);
    poison(store);
    const told = store.settled().catch((error) => error);
    expect(committedVersion(store)).toEqual({ epoch: 1, revision: 1 });
    expect(await told).toBeInstanceOf(NotStored);
    close();
  });

  test('of a request that saw what was never stored are refused', async () => {
    const { store, durable, close } = newStore();
    const outcome = await store
      .durably(async () => {
        keep(store, 1);
        poison(store);
        await turn();
        keep(store, 2);
      })
      .catch((error) => error);
    expect(outcome).toBeInstanceOf(NotStored);
    expect([durable(1), durable(2)]).toEqual([0, 0]);
    keep(store, 2);
    await store.settled();
    expect(durable(2)).toBe(2);
    close();
  });
});

type Step = 'keep' | 'refused' | 'poison' | 'read' | 'microtask' | 'turn' | 'later';
const step = fc.constantFrom<Step>('keep', 'keep', 'refused', 'poison', 'read', 'microtask', 'turn', 'later');

test('whatever writers do, and whenever a commit fails, answers tell what is on the disk', async () => {
  const run = fc.asyncProperty(
    fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
    fc.constantFrom(1, 2, 3, 64),
    async (requests, batchSize) => {
      const { store, durable, revision, close } = newStore(batchSize);
      const stored = (ids: Iterable<number>) => [...ids].every((id) => durable(id) === 2);
      store.onRevised((version) => expect(revision()).toBe(version.revision));
      let next = 0;
      const answers = await Promise.all(
        requests.map(async (steps) => {
          const written = new Set<number>();
          const read = new Set<number>();
          const request = async () => {
            for (const what of steps) {
              if (what === 'microtask') await undefined;
              else if (what === 'turn') await turn();
              else if (what === 'later') await Bun.sleep(0);
              else if (what === 'poison') poison(store);
              else if (what === 'read') for (const id of seen(store)) read.add(id);
              else {
                const id = next++;
                if (what === 'keep') keep(store, id);
                else expect(() => keep(store, id, true)).toThrow();
                if (what === 'keep') written.add(id);
                else expect(durable(id)).toBe(0);
              }
            }
          };
          return store.durably(request).then(
            () => ({ held: stored(written) && stored(read), failure: undefined }),
            (failure: unknown) => ({ held: true, failure }),
          );
        }),
      );
      for (const { held, failure } of answers) {
        expect(held).toBe(true);
        if (failure !== undefined) expect(failure).toBeInstanceOf(NotStored);
      }
      expect(store.db.inTransaction).toBe(false);
      for (let id = 0; id < next; id++) expect([0, 2]).toContain(durable(id));
      expect(seen(store).length).toBe(revision());
      close();
    },
  );
  await fc.assert(run, { numRuns: 100 });
});

test('a master whose commits fail now and then tells nobody of what was not stored', async () => {
  const postern = await testMaster();
  const { store, master } = postern;
  const n1 = await postern.addMachine('n1');
  const token = await postern.tokenFor('agent', 'n1', n1.key);
  const heard: number[] = [];
  store.onRevised(({ revision }) => heard.push(revision));
  let working = true;
  const failing = (async () => {
    for (let i = 0; working; i++) {
      if (i % 3 === 0) poison(store);
      await turn();
    }
  })();
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const email = `user${i}@example.com`;
      await Bun.sleep(i % 7);
      const added = await postern.send('POST', '/v1/users', postern.ownerToken, { email, role: 'developer' });
      await postern.send('GET', '/v1/agent/snapshot', token);
      return { email, status: added.status, code: added.body.code };
    }),
  );
  working = false;
  await failing;

  const acked = outcomes.filter(({ status }) => status === 201).map(({ email }) => email);
  const refused = outcomes.filter(({ status }) => status !== 201);
  expect(acked.length).toBeGreaterThan(0);
  expect(refused.length).toBeGreaterThan(0);
  for (const { status, code } of refused) expect([status, code]).toEqual([503, 'storage-unavailable']);
  const emails = store.db.query<{ email: string }, []>('SELECT email FROM users ORDER BY email').all();
  expect(emails.map(({ email }) => email)).toEqual(['ana@example.com', ...acked].sort());
  expect(Math.max(...heard)).toBe(currentVersion(store).revision);
  expect(await publishedSnapshot(master)).toEqual(readSnapshot(store));
});

test('a database that cannot be written is a 503 that changes nothing, and is over with it', async () => {
  const postern = await testMaster();
  const heard: number[] = [];
  postern.store.onRevised(({ revision }) => heard.push(revision));
  const add = () => postern.send('POST', '/v1/users', postern.ownerToken, { email: 'ben@x.org', role: 'developer' });
  postern.store.db.run('PRAGMA query_only = ON');
  expect(await add()).toMatchObject({ status: 503, body: { code: 'storage-unavailable' } });
  expect((await postern.send('GET', '/v1/users', postern.ownerToken)).body.items).toHaveLength(1);
  postern.store.db.run('PRAGMA query_only = OFF');
  expect(await add()).toMatchObject({ status: 201 });
  expect(heard).toEqual([2]);
});

test('what was signed before its commit failed is not published under the next revision of that number', async () => {
  const { store, master } = await testMaster();
  const add = (email: string) => addUser(store, { email, role: 'developer' }, 'user ana@example.com', now);
  add('ben@example.com');
  const lost = publishedSnapshot(master);
  poison(store);
  expect(await store.settled().catch((error) => error)).toBeInstanceOf(NotStored);
  add('cem@example.com');
  await store.settled();
  const published = await publishedSnapshot(master);
  expect(published.revision).toBe((await lost).revision);
  expect(published).toEqual(readSnapshot(store));
});

async function publishedSnapshot(master: Master): Promise<Snapshot> {
  const { jws } = await master.published.snapshot();
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
}
