import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { masterPaths } from './state/layout.ts';
import { type Finding, filesOf, leaksOf, type Secret } from './test-kit/leaks.ts';
import {
  newInstallation,
  newStateDir,
  removeStateDirs,
  run,
  serveArguments,
  serving,
  start,
} from './test-kit/processes.ts';
import { learn, ran, type Told, wholeLife } from './test-kit/whole-life.ts';

/**
 * The whole life of an installation with the real program, then a search: no secret stands in an answer (but the one that
 * is there to tell it), in a log line, in a column, or in a file of the state directory that is not its own.
 */

const told: Told = { secrets: [], answers: [] };
const { secrets, answers } = told;
let log = '';
let stateDir = '';

beforeAll(async () => {
  const installation = await newInstallation();
  stateDir = installation.stateDir;
  const owner = learn(told, 'the owner token', installation.ownerToken);
  const passphrase = learn(told, 'the recovery passphrase', installation.recoveryPassphrase);
  const file = join(newStateDir(), 'file');
  writeFileSync(file, 'content');
  const files = ['--file', `join.sh=${file}`, '--file', `postern-client.js=${file}`];
  await ran(told, ['release', '--state-dir', stateDir, '--version', '1', ...files], passphrase);

  const { stdout: help } = await run(['serve', '--help']);
  const talkative = help.includes('--log-level') ? ['--log-level', 'trace'] : [];
  const child = start([...serveArguments(stateDir, '127.0.0.1:0'), ...talkative]);
  const master = await serving(stateDir, undefined, child);
  await wholeLife(told, { url: master.url, stateDir, owner, passphrase });
  ({ log } = await master.stop());
}, 60_000);

afterAll(removeStateDirs);

/** Every value of every column of every table. */
function columnsOf(path: string): Finding[] {
  const db = new Database(path, { readonly: true });
  const tables = db.query<{ name: string }, []>(`SELECT name FROM sqlite_master WHERE type = 'table'`).all();
  const findings = tables.flatMap(({ name: table }) =>
    db
      .query<Record<string, unknown>, []>(`SELECT * FROM "${table}"`)
      .all()
      .flatMap((row) =>
        Object.entries(row).map(([column, value]) => ({
          where: `${table}.${column}`,
          text: value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
        })),
      ),
  );
  db.close();
  return findings;
}

/** Keys that belong in a file of their own, and there alone. */
function keysAtHome(): { secret: Secret; home: string }[] {
  const paths = masterPaths(stateDir);
  const home = (path: string) => path.slice(stateDir.length + 1);
  const working = ['tokens', 'snapshots', 'bundles'].map((use) => ({
    secret: { name: `the key for ${use}`, value: JSON.parse(readFileSync(paths.key(use), 'utf8')).d as string },
    home: home(paths.key(use)),
  }));
  const tls = readFileSync(paths.tlsKey, 'utf8').split('\n')[1] ?? '';
  return [...working, { secret: { name: 'the TLS key', value: tls }, home: home(paths.tlsKey) }];
}

const lines = (): Finding[] => log.split('\n').map((text) => ({ where: `the log line ${text.slice(0, 300)}`, text }));
const database = () => masterPaths(stateDir).database;
const all = (): Secret[] => [...secrets, ...keysAtHome().map(({ secret }) => secret)];

describe('no secret stands', () => {
  test('in an answer, but for the one that is there to tell it', () => {
    expect(answers.length).toBeGreaterThan(150);
    expect(leaksOf(all(), answers)).toEqual([]);
  });

  test('in a line of the log', () => {
    expect(lines().length).toBeGreaterThan(150);
    expect(leaksOf(all(), lines())).toEqual([]);
  });

  test('in a column of the database', () => {
    const columns = columnsOf(database());
    expect(new Set(columns.map(({ where }) => where)).size).toBeGreaterThan(45);
    expect(leaksOf(all(), columns)).toEqual([]);
  });

  test('in a file of the state directory, but for keys in their own', () => {
    const files = filesOf(stateDir);
    expect(files.map(({ where }) => where)).toEqual(expect.arrayContaining(keysAtHome().map(({ home }) => home)));
    expect(leaksOf(secrets, files)).toEqual([]);
    const elsewhere = keysAtHome().flatMap(({ secret, home }) =>
      leaksOf([secret], files).filter((leak) => leak !== `${secret.name} in ${home}`),
    );
    expect(elsewhere).toEqual([]);
  });
});

describe('the search finds', () => {
  test('what does stand there: it looked at the real things', () => {
    const known = [{ name: 'an e-mail address', value: 'ben@example.com' }];
    expect(leaksOf(known, answers).length).toBeGreaterThan(5);
    expect(leaksOf(known, columnsOf(database()))).toContain('an e-mail address in users.email');
    expect(leaksOf(known, filesOf(stateDir))).toContain('an e-mail address in master/postern.db');
    expect(leaksOf([{ name: 'a path', value: '/v1/device/bundle' }], lines()).length).toBe(1);
  });

  test('each secret in an answer and in a log line, however it is written', () => {
    for (const secret of all())
      for (const text of [secret.value, secret.value.toLowerCase(), Buffer.from(secret.value).toString('hex')]) {
        expect(leaksOf([secret], [...answers, { where: 'here', text: `x${text}x` }])).toEqual([
          `${secret.name} in here`,
        ]);
        expect(leaksOf([secret], [...lines(), { where: 'here', text: `{"err":"${text}"}` }])).toEqual([
          `${secret.name} in here`,
        ]);
      }
  });

  test('each secret in a column and in a file', () => {
    for (const secret of secrets) {
      const copy = newStateDir();
      cpSync(stateDir, copy, { recursive: true });
      const path = masterPaths(copy).database;
      const db = new Database(path);
      db.query('UPDATE nodes SET problem = ?').run(secret.value);
      db.query('UPDATE users SET email = ? || id').run(secret.value);
      db.query('UPDATE kept_answers SET sealed = ?').run(Buffer.from(`..${secret.value}`));
      db.close();
      const leaks = leaksOf([secret], columnsOf(path));
      expect(leaks).toEqual(
        expect.arrayContaining([`${secret.name} in users.email`, `${secret.name} in kept_answers.sealed`]),
      );
      expect(leaksOf([secret], filesOf(copy)).length).toBeGreaterThan(0);
    }
  });
});
