import type { Store } from './open.ts';

/** Writes down who did what to whom, in the transaction of the act itself. `detail` holds no secret. */
export function audit(
  { db }: Store,
  now: Date,
  row: { actor: string; act: string; subject: string; detail?: Record<string, unknown> },
): void {
  db.query('INSERT INTO audit (at, actor, act, subject, detail) VALUES ($at, $actor, $act, $subject, $detail)').run({
    at: now.toISOString(),
    actor: row.actor,
    act: row.act,
    subject: row.subject,
    detail: JSON.stringify(row.detail ?? {}),
  });
}

export function countAudited({ db }: Store, act: string, subject: string): number {
  const row = db
    .query<{ total: number }, [string, string]>('SELECT count(*) AS total FROM audit WHERE act = ? AND subject = ?')
    .get(act, subject);
  return row?.total ?? 0;
}
