import { SQLiteError } from 'bun:sqlite';

/** The database file cannot be used; starting with it could lose or open something. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: 'corrupt' | 'unreadable' | 'newer';

  constructor(code: StorageError['code'], path: string, cause: unknown) {
    const why = {
      corrupt: 'is damaged',
      unreadable: 'cannot be read as a database',
      newer: 'was written by a newer version of Postern',
    }[code];
    super(`The database ${path} ${why}. Nothing was changed; put back a backup or the right file, then start again.`, {
      cause,
    });
    this.code = code;
  }
}

/** A transaction could not be committed: nothing of it is stored, whatever its acts returned. */
export class NotStored extends Error {
  override readonly name = 'NotStored';

  constructor(cause: unknown) {
    super('what was written could not be stored, and was undone', { cause });
  }
}

const unavailable = /^SQLITE_(FULL|READONLY|IOERR|BUSY|LOCKED|CANTOPEN|CORRUPT|NOTADB|PROTOCOL|NOMEM)/;

/** Whether an error means that storing is impossible at the moment, rather than that we asked for something wrong. */
export function isStorageFailure(error: unknown): boolean {
  if (error instanceof NotStored) return true;
  return error instanceof SQLiteError && unavailable.test(error.code ?? '');
}
