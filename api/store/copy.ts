import { Database } from 'bun:sqlite';
import { chmodSync } from 'node:fs';
import { StorageError } from './errors.ts';
import { migrations, schemaVersion } from './migrations.ts';

/** Copies a database as it is at one moment, while others go on writing to it. */
export function copyDatabase(from: string, to: string): void {
  const db = new Database(from, { readonly: true, strict: true });
  try {
    db.run('PRAGMA busy_timeout = 5000');
    db.query('VACUUM INTO ?').run(to);
  } finally {
    db.close();
  }
  chmodSync(to, 0o600);
}

export type DatabaseFacts = { schema: number; epoch: number; revision: number; users: number; devices: number };

/**
 * Looks through a copy, page by page and index by index.
 *
 * @throws StorageError when it is damaged, not ours, or of a newer version.
 */
export function inspectDatabase(path: string): DatabaseFacts {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const found = db.query<{ integrity_check: string }, []>('PRAGMA integrity_check(1)').get()?.integrity_check;
    const orphan = db.query('PRAGMA foreign_key_check').get();
    if (found !== 'ok' || orphan !== null) throw new StorageError('corrupt', path, found);
    const schema = schemaVersion(db);
    if (schema === 0) throw new StorageError('unreadable', path, 'it is empty');
    if (schema > migrations.length) throw new StorageError('newer', path, `user_version ${schema}`);
    const facts = db
      .query<Omit<DatabaseFacts, 'schema'>, []>(
        `SELECT epoch, revision, (SELECT count(*) FROM users) AS users,
           (SELECT count(*) FROM devices WHERE registered_at IS NOT NULL) AS devices
         FROM settings WHERE id = 1`,
      )
      .get();
    if (facts === null) throw new StorageError('unreadable', path, 'it has no settings');
    return { schema, ...facts };
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError('unreadable', path, cause);
  } finally {
    db?.close();
  }
}
