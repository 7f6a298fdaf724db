import { type Database, SQLiteError } from 'bun:sqlite';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StorageError } from './errors.ts';
import roster from './migrations/0001-roster.sql' with { type: 'text' };
import lists from './migrations/0002-lists.sql' with { type: 'text' };
import enrolmentIndexes from './migrations/0003-enrolment-indexes.sql' with { type: 'text' };
import tokens from './migrations/0004-tokens.sql' with { type: 'text' };
import auditChain from './migrations/0005-audit-chain.sql' with { type: 'text' };
import lives from './migrations/0006-lives.sql' with { type: 'text' };
import policy from './migrations/0007-policy.sql' with { type: 'text' };
import bundleDigests from './migrations/0008-bundle-digests.sql' with { type: 'text' };
import webhooks from './migrations/0009-webhooks.sql' with { type: 'text' };
import manyNodes from './migrations/0010-many-nodes.sql' with { type: 'text' };
import { chainAudit } from './migrations/audit-chain.ts';
import { policyToDocument } from './migrations/structured-policy.ts';

/** SQL, and where that is not enough a function that goes on in the same transaction. */
export type Migration = string | readonly [sql: string, act: (db: Database) => void];

/** In order, never edited once released: a database knows by `user_version` how many of them it has. */
export const migrations: readonly Migration[] = [
  roster,
  lists,
  enrolmentIndexes,
  tokens,
  [auditChain, chainAudit],
  lives,
  [policy, policyToDocument],
  bundleDigests,
  webhooks,
  manyNodes,
];

/** Copies of the database as it was before a step up, of which the newest stay. */
const keptBackups = 3;

/**
 * Brings the schema up to date in one transaction, so that a database is of one version or the other whatever happens
 * in between. Before that a copy of it is laid beside it: FILE.before-N, where N is the first step that it lacks.
 *
 * @throws StorageError, and the database is as it was.
 */
export function migrate(db: Database, path: string, steps: readonly Migration[] = migrations): void {
  const present = schemaVersion(db);
  if (present > steps.length) throw new StorageError('newer', path, `user_version ${present}`);
  if (present === steps.length) return;
  try {
    if (present > 0) backUp(db, `${path}.before-${present + 1}`);
    apply(db, steps, present);
  } catch (cause) {
    if (db.inTransaction) db.run('ROLLBACK');
    const isFull = cause instanceof SQLiteError && cause.code === 'SQLITE_FULL';
    const noSpace = isFull || (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC');
    throw new StorageError(noSpace ? 'no-room' : 'not-migrated', path, cause);
  }
  if (present > 0) pruneBackups(path);
}

function apply(db: Database, steps: readonly Migration[], present: number): void {
  // A table that is built anew must not take the rows that refer to it along; what refers to what is looked at below.
  db.run('PRAGMA foreign_keys = OFF');
  try {
    db.run('BEGIN IMMEDIATE');
    for (const step of steps.slice(present)) {
      const [sql, act] = typeof step === 'string' ? [step] : step;
      db.run(sql);
      act?.(db);
    }
    const orphan = db.query<{ table: string }, []>('PRAGMA foreign_key_check').get();
    if (orphan !== null) throw new Error(`rows of ${orphan.table} would belong to nothing`);
    db.run(`PRAGMA user_version = ${steps.length}`);
    db.run('COMMIT');
  } finally {
    if (!db.inTransaction) db.run('PRAGMA foreign_keys = ON');
  }
}

/** How many migrations a database has; 0 for an empty one. */
export function schemaVersion(db: Database): number {
  return db.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version ?? 0;
}

/** Makes a copy that only its owner reads, under its name once it is whole and on the disk. */
function backUp(db: Database, to: string): void {
  const draft = `${to}.draft`;
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, '', { mode: 0o600, flag: 'wx' });
    db.query('VACUUM INTO ?').run(draft);
    sync(draft);
    renameSync(draft, to);
    sync(dirname(to));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function pruneBackups(path: string): void {
  const prefix = `${basename(path)}.before-`;
  const numbers = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .filter(Number.isInteger)
    .sort((a, b) => b - a);
  for (const old of numbers.slice(keptBackups)) rmSync(join(dirname(path), `${prefix}${old}`), { force: true });
}
