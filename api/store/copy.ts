import { Database } from 'bun:sqlite';
import { chmodSync } from 'node:fs';
import { StorageError } from './errors.ts';
import { checkDatabase, type Inspection } from './inspection.ts';
import { migrations } from './migrations.ts';

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

/**
 * Looks through a copy, page by page, index by index, and whether its parts belong together.
 *
 * @throws StorageError when it is damaged, not ours, or of a newer version.
 */
export function inspectCopy(path: string): Inspection {
  let found: Inspection;
  try {
    found = checkDatabase(path);
  } catch (cause) {
    throw new StorageError('unreadable', path, cause);
  }
  if (found.schema === 0) throw new StorageError('unreadable', path, 'it is empty');
  if (found.schema > migrations.length) throw new StorageError('newer', path, `user_version ${found.schema}`);
  if (found.problems.length > 0) throw new StorageError('corrupt', path, found.problems.join('; '));
  return found;
}
