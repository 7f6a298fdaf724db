import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Store } from './open.ts';

/** What the database holds, in numbers. */
export type Figures = {
  usersEnabled: number;
  usersDisabled: number;
  devicesManaged: number;
  devicesMachine: number;
  codesOpen: number;
  /** When the next API token runs out; null when none does. */
  nextTokenEnd: string | null;
  databaseBytes: number;
  walBytes: number;
};

/** Counts by indexes and sizes: cheap enough to be asked for every few seconds. */
export function readFigures(store: Store, now: Date): Figures {
  const { db } = store;
  const at = now.toISOString();
  const counts = db
    .query<Omit<Figures, 'databaseBytes' | 'walBytes'>, [Record<string, string>]>(
      `SELECT
         (SELECT count(*) FROM users WHERE disabled = 0) AS usersEnabled,
         (SELECT count(*) FROM users WHERE disabled = 1) AS usersDisabled,
         (SELECT count(*) FROM devices WHERE registered_at IS NOT NULL AND machine_seconds IS NULL) AS devicesManaged,
         (SELECT count(*) FROM devices WHERE registered_at IS NOT NULL AND machine_seconds IS NOT NULL)
           AS devicesMachine,
         (SELECT count(*) FROM codes WHERE expires_at > $at AND spent_at IS NULL AND withdrawn_at IS NULL) AS codesOpen,
         (SELECT min(expires_at) FROM api_tokens WHERE expires_at > $at) AS nextTokenEnd`,
    )
    .get({ at });
  if (counts === null) throw new Error('the database does not count');
  return {
    ...counts,
    databaseBytes: sizeOf(db, 'page_count') * sizeOf(db, 'page_size'),
    walBytes: walBytes(db.filename),
  };
}

function sizeOf(db: Store['db'], pragma: 'page_count' | 'page_size'): number {
  return db.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get()?.[pragma] ?? 0;
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** Tokens that were made to last and end before `until`; those of a short job end as they should. */
export function lastingTokensThatEnd(
  { db }: Store,
  now: Date,
  until: Date,
): { id: string; name: string; email: string; expiresAt: string }[] {
  return db
    .query<{ id: string; name: string; email: string; expiresAt: string }, [string, string]>(
      `SELECT api_tokens.id, api_tokens.name, users.email, api_tokens.expires_at AS expiresAt
       FROM api_tokens JOIN users ON users.id = api_tokens.user_id
       WHERE api_tokens.expires_at > ? AND api_tokens.expires_at < ?
         AND julianday(api_tokens.expires_at) - julianday(api_tokens.created_at) > 28
       ORDER BY api_tokens.expires_at, api_tokens.id LIMIT 20`,
    )
    .all(now.toISOString(), until.toISOString());
}

/** The room on the disk of the database; undefined for one in memory. */
export function diskOf({ db }: Store): { freeBytes: number; totalBytes: number } | undefined {
  if (db.filename === ':memory:') return undefined;
  const { bavail, blocks, bsize } = statfsSync(dirname(db.filename));
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
