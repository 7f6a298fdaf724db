import { Database } from 'bun:sqlite';
import type { Version } from '#contract/snapshot.ts';
import { StorageError } from './errors.ts';
import { migrate, schemaVersion } from './migrations.ts';

/** The master's database and the one way to write to it. Everything that speaks SQL stands in this folder. */
export type Store = {
  readonly db: Database;
  /**
   * Runs `act` in one transaction and commits it before returning; whatever `act` throws undoes all of it.
   * Inside another `write` it takes part in that one.
   */
  write<T>(act: () => T): T;
  /** Called by whoever raises the revision, in the transaction; listeners hear of it after the commit. */
  revised(version: Version): void;
  onRevised(listener: (version: Version) => void): void;
  close(): void;
};

/** Makes a new database at `path`, or one in memory for ':memory:'. */
export function createStore(path: string): Store {
  const db = new Database(path, { create: true, strict: true });
  configure(db);
  migrate(db, path);
  return storeOf(db);
}

/**
 * Opens the database at `path` and brings its schema up to date. It is looked through first: a damaged one might open
 * what was closed, and an empty one would forget everybody.
 *
 * @throws StorageError when the file is not a sound database of ours.
 */
export function openStore(path: string): Store {
  try {
    const db = new Database(path, { create: false, readwrite: true, strict: true });
    db.run('PRAGMA busy_timeout = 1000');
    const check = db.query<{ quick_check: string }, []>('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') throw new StorageError('corrupt', path, check?.quick_check);
    if (schemaVersion(db) === 0) throw new StorageError('unreadable', path, 'it is empty');
    configure(db);
    migrate(db, path);
    return storeOf(db);
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError('unreadable', path, cause);
  }
}

function configure(db: Database): void {
  db.run('PRAGMA busy_timeout = 1000');
  db.run('PRAGMA journal_mode = WAL');
  db.run('PRAGMA synchronous = FULL');
  db.run('PRAGMA foreign_keys = ON');
  db.run('PRAGMA trusted_schema = OFF');
}

function storeOf(db: Database): Store {
  const listeners: ((version: Version) => void)[] = [];
  let raised: Version | undefined;

  const transact = <T>(act: () => T): T => {
    raised = undefined;
    db.run('BEGIN IMMEDIATE');
    try {
      const value = act();
      db.run('COMMIT');
      return value;
    } catch (error) {
      // A full disk may already have rolled back.
      if (db.inTransaction) db.run('ROLLBACK');
      throw error;
    }
  };

  return {
    db,
    write(act) {
      if (db.inTransaction) return act();
      const value = transact(act);
      const version = raised;
      if (version !== undefined) for (const listener of listeners) listener(version);
      return value;
    },
    revised: (version) => {
      raised = version;
    },
    onRevised: (listener) => void listeners.push(listener),
    close: () => db.close(),
  };
}
