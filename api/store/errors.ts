import { SQLiteError } from 'bun:sqlite';

const storageProblems = {
  corrupt: ['is damaged', 'Put back a backup or the right file, then start again.'],
  unreadable: ['cannot be read as a database', 'Put back a backup or the right file, then start again.'],
  newer: ['was written by a newer version of Postern', 'Install that version again, or put back a backup of this one.'],
  'no-room': ['must be brought up to date, and there is no room', 'Make room on the disk, then start again.'],
  'not-migrated': [
    'could not be brought up to date',
    'Install the former version again, and tell us what stands here.',
  ],
} as const;

/** The database file cannot be used; starting with it could lose or open something. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: keyof typeof storageProblems;

  constructor(code: StorageError['code'], path: string, cause: unknown) {
    const [why, whatToDo] = storageProblems[code];
    super(`The database ${path} ${why}. Nothing was changed. ${whatToDo}`, { cause });
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
