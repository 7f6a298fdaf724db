import { Database, SQLiteError } from 'bun:sqlite';
import { writeFileSync } from 'node:fs';

/** Two masters of one state would each believe what it remembers, and agents would hear both. */
export class AlreadyServed extends Error {
  override readonly name = 'AlreadyServed';
  readonly code = 'already-served';

  constructor(folder: string) {
    super(`Another master serves ${folder} already. Stop that one first.`);
  }
}

/**
 * Takes the right to serve a state for as long as this process lives. It is a lock of the kernel's on a file, held by
 * SQLite, so that nothing stays behind when the process is killed.
 *
 * @throws AlreadyServed when another process has it.
 */
export function takeServingLock(file: string, folder: string): void {
  writeFileSync(file, '', { mode: 0o600, flag: 'a' });
  const lock = new Database(file, { create: false, readwrite: true });
  try {
    lock.run('PRAGMA journal_mode = MEMORY');
    lock.run('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof SQLiteError && error.code?.startsWith('SQLITE_BUSY')) throw new AlreadyServed(folder);
    throw error;
  }
  held.push(lock);
}

/** A database that nobody refers to would be closed when memory is tidied up. */
const held: Database[] = [];
