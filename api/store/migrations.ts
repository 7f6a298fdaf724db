import type { Database } from 'bun:sqlite';
import { existsSync, rmSync } from 'node:fs';
import { StorageError } from './errors.ts';
import roster from './migrations/0001-roster.sql' with { type: 'text' };
import lists from './migrations/0002-lists.sql' with { type: 'text' };
import enrolmentIndexes from './migrations/0003-enrolment-indexes.sql' with { type: 'text' };
import tokens from './migrations/0004-tokens.sql' with { type: 'text' };
import auditChain from './migrations/0005-audit-chain.sql' with { type: 'text' };
import lives from './migrations/0006-lives.sql' with { type: 'text' };
import { chainAudit } from './migrations/audit-chain.ts';

/** SQL, and where that is not enough a function that goes on in the same transaction. */
type Migration = string | readonly [sql: string, act: (db: Database) => void];

/** In order, never edited once released: a database knows by `user_version` how many of them it has. */
export const migrations: readonly Migration[] = [
  roster,
  lists,
  enrolmentIndexes,
  tokens,
  [auditChain, chainAudit],
  lives,
];

/** Brings the schema up to date, each step whole or not at all, with a copy of the file kept beside it before. */
export function migrate(db: Database, path: string): void {
  const present = schemaVersion(db);
  if (present > migrations.length) throw new StorageError('newer', path, `user_version ${present}`);
  if (present > 0 && present < migrations.length) backUp(db, `${path}.before-${present + 1}`);
  for (const [index, migration] of migrations.slice(present).entries()) {
    const [sql, act] = typeof migration === 'string' ? [migration] : migration;
    db.transaction(() => {
      db.run(sql);
      act?.(db);
      db.run(`PRAGMA user_version = ${present + index + 1}`);
    }).immediate();
  }
}

/** How many migrations a database has; 0 for an empty one. */
export function schemaVersion(db: Database): number {
  return db.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version ?? 0;
}

/** A copy from an attempt that was cut short says nothing more than the file itself, so it is made anew. */
function backUp(db: Database, to: string): void {
  if (existsSync(to)) rmSync(to);
  db.query('VACUUM INTO ?').run(to);
}
