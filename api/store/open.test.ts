import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testMaster } from '../test-kit/master.ts';
import { audit } from './audit.ts';
import { StorageError } from './errors.ts';
import { migrations } from './migrations.ts';
import { createStore, openStore, type Store } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-store-'));
afterAll(() => rmSync(folder, { recursive: true }));

const newPath = () => join(folder, `${crypto.randomUUID()}.db`);
const setting = (store: Store, pragma: string) => {
  const value = Object.values(store.db.query<Record<string, unknown>, []>(`PRAGMA ${pragma}`).get() ?? {})[0];
  store.close();
  return value;
};

describe('a store', () => {
  test.each([
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['user_version', migrations.length],
  ])('has %s %p, also when it is opened again', (pragma, value) => {
    const path = newPath();
    expect(setting(createStore(path), pragma)).toBe(value);
    expect(setting(openStore(path), pragma)).toBe(value);
  });

  test('has strict tables only', () => {
    const { db } = createStore(':memory:');
    const tables = db
      .query<{ name: string; strict: number }, []>(`SELECT name, strict FROM pragma_table_list WHERE type = 'table'`)
      .all()
      .filter(({ name }) => !name.startsWith('sqlite_'));
    expect(tables.length).toBeGreaterThan(7);
    expect(tables.filter(({ strict }) => strict !== 1)).toEqual([]);
  });

  test('of a newer version is left alone', () => {
    const path = newPath();
    new Database(path).run('PRAGMA user_version = 99');
    expect(() => openStore(path)).toThrow(/newer version/);
  });

  test('that is no database is refused', () => {
    const path = newPath();
    writeFileSync(path, 'not a database, but long enough to be looked at: '.repeat(40));
    expect(() => openStore(path)).toThrow(StorageError);
  });

  test('undoes a transaction that throws, and tells nobody of a revision it did not reach', async () => {
    const { store, addPerson } = await testMaster();
    const heard: number[] = [];
    store.onRevised(({ revision }) => heard.push(revision));
    expect(() =>
      store.write(() => {
        store.revised({ epoch: 1, revision: 99 });
        store.db.run('UPDATE settings SET revision = 99');
        throw new Error('no');
      }),
    ).toThrow('no');
    await addPerson('ben@example.com');
    expect(heard).toEqual([2]);
  });
});

describe('the database itself refuses', () => {
  const refusals: [string, string][] = [
    ['a change in the audit log', `UPDATE audit SET actor = 'nobody'`],
    ['a hole in the audit log', 'DELETE FROM audit'],
    ['a lower revision', 'UPDATE settings SET revision = 0'],
    ['a spent code that opens again', 'UPDATE codes SET spent_at = NULL'],
    ['a spent code that is forgotten', 'DELETE FROM codes WHERE spent_at IS NOT NULL'],
    ['a permission that does not exist', `UPDATE users SET permission = 'root'`],
    ['a device without its user', 'DELETE FROM users'],
    ['a policy that is no JSON', `UPDATE settings SET policy = '{'`],
    ['text for a number', `UPDATE devices SET address = 'x'`],
    ['a listed device that is not registered', 'UPDATE devices SET registered_at = NULL'],
    [
      "a node with a device's address",
      `INSERT INTO nodes (name, public_key, agent_key, endpoints, tunnel_address, priority, added_revision)
         SELECT 'n9', 'k', 'a', '[]', address, 1, 1 FROM devices`,
    ],
  ];

  test.each(refusals)('%s', async (_, sql) => {
    const { store, enrol } = await testMaster();
    await enrol('ben@example.com');
    expect(() => store.db.run(sql)).toThrow();
  });
});

test('an audit row is undone with its act', async () => {
  const { store } = await testMaster();
  const rows = () => store.db.query<{ n: number }, []>('SELECT count(*) AS n FROM audit').get()?.n;
  const before = rows();
  expect(() =>
    store.write(() => {
      audit(store, new Date(), { actor: 'a', act: 'b', subject: 'c' });
      throw new Error('no');
    }),
  ).toThrow();
  expect(rows()).toBe(before);
});
