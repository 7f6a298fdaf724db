import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { StorageError } from './errors.ts';
import { digestOf, fillDatabase, steps } from './fixture/migrations.ts';
import { migrations } from './migrations.ts';
import { createStore, openStore } from './open.ts';

/** What becomes of a filled database when it is brought up to date, and when that is cut short. */

setDefaultTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), 'postern-migrations-'));
afterAll(() => rmSync(folder, { recursive: true }));

const users = 600;
const template = join(folder, 'template.db');
const program = join(import.meta.dir, 'fixture', 'migrate.ts');
const backupOf = (path: string) => `${path}.before-${migrations.length + 1}`;
const digests = { before: '', after: '' };

beforeAll(() => {
  fillDatabase(template, users);
  digests.before = digestOf(template);
  const path = copy();
  openStore(path, { migrations: steps }).close();
  digests.after = digestOf(path);
  expect(digests.after).not.toBe(digests.before);
});

/** In a folder of its own, so that what lies beside it is its own too. */
function copy(): string {
  const path = join(mkdtempSync(join(folder, 'copy-')), 'postern.db');
  copyFileSync(template, path);
  return path;
}

const start = (...argv: string[]) =>
  Bun.spawn([process.execPath, program, ...argv], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });

/** Old or new, whole, with a sound copy of the old one if it is new; and the next start brings it up to date. */
function expectWhole(path: string): 'before' | 'after' {
  const digest = digestOf(path);
  expect([digests.before, digests.after]).toContain(digest);
  const backup = backupOf(path);
  if (existsSync(backup)) expect(digestOf(backup)).toBe(digests.before);
  if (digest === digests.after) expect(existsSync(backup)).toBe(true);
  openStore(path, { migrations: steps }).close();
  expect(digestOf(path)).toBe(digests.after);
  expect(digestOf(backup)).toBe(digests.before);
  // Besides what whoever only reads leaves behind.
  const names = readdirSync(dirname(path)).filter((name) => !/-(?:wal|shm)$/.test(name));
  expect(names.sort()).toEqual([basename(path), basename(backup)]);
  return digest === digests.before ? 'before' : 'after';
}

describe('a migration that is killed', () => {
  test('after each of its statements leaves the old database or the new one', async () => {
    const outcomes: string[] = [];
    const killedAfter = async (count: number) => {
      const path = copy();
      const child = start(path, String(count));
      await child.exited;
      return child.signalCode === null ? undefined : path;
    };
    for (let first = 1, isOver = false; !isOver; first += 4) {
      const paths = await Promise.all([0, 1, 2, 3].map((more) => killedAfter(first + more)));
      for (const path of paths) if (path !== undefined) outcomes.push(expectWhole(path));
      isOver = paths.includes(undefined);
    }
    // Those around them too: settings, BEGIN, the version, COMMIT.
    expect(outcomes.length).toBeGreaterThan(15);
    expect(outcomes).toEqual(outcomes.toSorted((a, b) => b.localeCompare(a)));
    expect(new Set(outcomes)).toEqual(new Set(['before', 'after']));
  });

  test('at any moment leaves the old database or the new one', async () => {
    const begun = performance.now();
    await start(copy()).exited;
    const whole = performance.now() - begun;
    for (let i = 0; i < 6; i++) {
      const path = copy();
      const child = start(path);
      await Bun.sleep(whole * (0.3 + 0.7 * Math.random()));
      child.kill('SIGKILL');
      await child.exited;
      expectWhole(path);
    }
  });
});

describe('a migration', () => {
  test('keeps a copy for its owner alone, and the last three of them', () => {
    const path = copy();
    for (const old of [2, 90, 100]) writeFileSync(`${path}.before-${old}`, '');
    const next = migrations.length + 1;
    openStore(path, { migrations: steps }).close();
    expect(statSync(backupOf(path)).mode & 0o777).toBe(0o600);
    const kept = [2, 90, 100, next].sort((a, b) => b - a).slice(0, 3);
    const left = readdirSync(dirname(path)).filter((name) => name.includes('.before-'));
    expect(left.sort()).toEqual(kept.map((number) => `postern.db.before-${number}`).sort());
  });

  test('that leaves rows which belong to nothing is undone', () => {
    const path = copy();
    const broken = [...migrations, `DELETE FROM users WHERE id = 'u7'`];
    expect(() => openStore(path, { migrations: broken })).toThrow(/could not be brought up to date\. Nothing was/);
    expect(digestOf(path)).toBe(digests.before);
  });

  test('may build a table anew without losing what refers to it', () => {
    const path = copy();
    const rebuilt = `CREATE TABLE users2 (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
        permission TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL) STRICT;
      INSERT INTO users2 SELECT id, email, role, permission, disabled, created_at FROM users;
      DROP TABLE users;
      ALTER TABLE users2 RENAME TO users;`;
    const store = openStore(path, { migrations: [...migrations, rebuilt] });
    const count = (table: string) => store.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n;
    expect([count('users'), count('devices'), count('codes')]).toEqual([users, users, users]);
    expect(store.db.query('PRAGMA foreign_keys').get()).toEqual({ foreign_keys: 1 });
    store.close();
  });

  test('that somebody newer made is not undone, and the database is refused', () => {
    const path = copy();
    openStore(path, { migrations: steps }).close();
    expect(() => openStore(path)).toThrow(StorageError);
    expect(() => openStore(path)).toThrow(/newer version of Postern\. Nothing was changed\. Install that version/);
    expect(digestOf(path)).toBe(digests.after);
  });

  test('of nothing makes no copy', () => {
    const path = join(mkdtempSync(join(folder, 'new-')), 'postern.db');
    createStore(path).close();
    expect(readdirSync(dirname(path))).toEqual(['postern.db']);
  });
});

describe.skipIf(process.getuid?.() !== 0)('without room (needs root, for a small file system of its own)', () => {
  test.each([
    ['for the copy', 1.2],
    ['for the new rows', 2.2],
  ])('%s: the old database stays, and a sentence says so', async (_, times) => {
    const small = mkdtempSync(join(folder, 'small-'));
    const kibibytes = Math.ceil((statSync(template).size * times) / 1024);
    const script = `mount -t tmpfs -o size=${kibibytes}k none "$0" && cp "$1" "$0/postern.db" &&
      { "$2" "$3" "$0/postern.db"; status=$?; rm -f "$0"/postern.db.*; cp "$0"/* "$4"; exit $status; }`;
    const kept = mkdtempSync(join(folder, 'kept-'));
    const child = Bun.spawn(
      ['unshare', '--mount', 'sh', '-c', script, small, template, process.execPath, program, kept],
      { stdin: 'ignore', stdout: 'inherit', stderr: 'pipe' },
    );
    const said = await child.stderr.text();
    expect([await child.exited, said.trim().split('\n').length]).toEqual([1, 1]);
    expect(said).toMatch(/must be brought up to date, and there is no room\. Nothing was changed\. Make room/);
    expect(digestOf(join(kept, 'postern.db'))).toBe(digests.before);
  });
});
