import type { Store } from './open.ts';

const keptMilliseconds = 86_400_000;
/** Beyond it the oldest go: a caller who sends a new key with each request must not fill the disk. */
const mostKept = 100_000;

/** What was answered under this id in the last day, still sealed. */
export function keptAnswer({ db }: Store, id: string, now: Date): Uint8Array | undefined {
  const row = db
    .query<{ sealed: Uint8Array }, [string, string]>('SELECT sealed FROM kept_answers WHERE id = ? AND expires_at > ?')
    .get(id, now.toISOString());
  return row?.sealed;
}

/** Part of the act that is answered: both are stored or neither. */
export function keepAnswer(store: Store, id: string, sealed: Uint8Array, now: Date): void {
  const { db } = store;
  db.query('DELETE FROM kept_answers WHERE expires_at <= ?').run(now.toISOString());
  db.query('INSERT INTO kept_answers (id, expires_at, sealed) VALUES (?, ?, ?)').run(
    id,
    new Date(now.getTime() + keptMilliseconds).toISOString(),
    sealed,
  );
  db.query('DELETE FROM kept_answers WHERE number <= (SELECT max(number) FROM kept_answers) - ?').run(mostKept);
}
