import { Database } from 'bun:sqlite';
import type { Version } from '#contract/snapshot.ts';
import { isStorageFailure, StorageError } from './errors.ts';
import { defaultBatchSize, groupCommit } from './group-commit.ts';
import { type Migration, migrate, schemaVersion } from './migrations.ts';

/** The master's database and the one way to write to it. Everything that speaks SQL stands in this folder. */
export type Store = {
  readonly db: Database;
  /**
   * Runs `act` whole or not at all: what it throws undoes it, and it alone. It is committed, on the disk, at the end
   * of this turn of the event loop, together with the other acts of the turn; until `settled` resolves, nothing may be
   * told or done outside the database on the strength of it. Inside another `write` it takes part in that one.
   *
   * @throws NotStored when the transaction cannot be stored, or when the request saw something that could not.
   */
  write<T>(act: () => T): T;
  /** Resolves once all that was written before is on the disk. @throws NotStored when nothing of it is. */
  settled(): Promise<void>;
  /** Runs a request, and resolves once all that it wrote, or may have read, is on the disk. @throws NotStored */
  durably<T>(act: () => Promise<T>): Promise<T>;
  /** Commits now, for whoever needs the connection without a transaction. @throws NotStored */
  flush(): void;
  /** Called by whoever raises the revision, in the transaction; listeners hear of the newest one after the commit. */
  revised(version: Version): void;
  onRevised(listener: (version: Version) => void): void;
  /** Called after each commit: how many acts it made durable, and how long the disk took. */
  onCommitted(listener: (commit: { acts: number; seconds: number }) => void): void;
  /** The listener forgets what it read: acts that others had seen were undone. */
  onUndone(listener: () => void): void;
  /** Commits, and closes. @throws NotStored */
  close(): void;
};

/** `batchSize` is how many acts may share a transaction; with 1 each has its own. `migrations` is for tests of them. */
export type StoreOptions = { batchSize?: number; migrations?: readonly Migration[] };

/** A parameter in a join. SQLite plans a join anew for each value of a bare one, which takes longer than the lookup. */
export const planned = 'CAST(? AS TEXT)';

/** All of ours, with room: the default of 20 would have most of them prepared anew at each use. */
Database.MAX_QUERY_CACHE_SIZE = 500;

/** Makes a new database at `path`, or one in memory for ':memory:'. */
export function createStore(path: string, options: StoreOptions = {}): Store {
  const db = new Database(path, { create: true, strict: true });
  configure(db);
  migrate(db, path, options.migrations);
  return storeOf(db, options);
}

/**
 * Opens the database at `path` and brings its schema up to date. It is looked through first: a damaged one might open
 * what was closed, and an empty one would forget everybody.
 *
 * @throws StorageError when the file is not a sound database of ours.
 */
export function openStore(path: string, options: StoreOptions = {}): Store {
  try {
    const db = new Database(path, { create: false, readwrite: true, strict: true });
    db.run('PRAGMA busy_timeout = 1000');
    const check = db.query<{ quick_check: string }, []>('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') throw new StorageError('corrupt', path, check?.quick_check);
    if (schemaVersion(db) === 0) throw new StorageError('unreadable', path, 'it is empty');
    configure(db);
    migrate(db, path, options.migrations);
    return storeOf(db, options);
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError('unreadable', path, cause);
  }
}

function configure(db: Database): void {
  db.run('PRAGMA busy_timeout = 1000');
  db.run('PRAGMA journal_mode = WAL');
  db.run('PRAGMA synchronous = FULL');
  // Whole databases of this kind fit, so that a lookup is no read from the file.
  db.run('PRAGMA cache_size = -32000');
  // Pages that many acts change are then copied once for all of them. 16 MB are read again within milliseconds.
  db.run('PRAGMA wal_autocheckpoint = 4000');
  db.run('PRAGMA temp_store = MEMORY');
  db.run('PRAGMA foreign_keys = ON');
  db.run('PRAGMA trusted_schema = OFF');
}

function storeOf(db: Database, { batchSize = defaultBatchSize }: StoreOptions): Store {
  const { look, ...group } = groupCommit(db, batchSize);
  return {
    get db() {
      look();
      return db;
    },
    ...group,
    close() {
      try {
        group.flush();
        gather(db);
      } finally {
        db.close();
      }
    },
  };
}

/** Brings everything into the one file, for whoever copies it. Where there is no room it stays in two, as safe. */
function gather(db: Database): void {
  try {
    db.run('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (!isStorageFailure(error)) throw error;
  }
}
