import type { AuditRow } from '#contract/audit.ts';
import type { AuditFilters, AuditList } from '#contract/lists.ts';
import { eventOf } from '../decisions/webhook-events.ts';
import { beginning, type ChainedRow, chainHash } from '../formats/audit-chain.ts';
import { type Asked, type Condition, equal, type Page, readPage, sqlOf } from './listing.ts';
import type { Store } from './open.ts';
import { queueEvent } from './webhook-outbox.ts';

type Row = ChainedRow & { hash: string };

const columns = 'id, at, actor, act, subject, detail, hash';

const toRow = ({ detail, ...row }: Row): AuditRow => ({ ...row, detail: JSON.parse(detail) });

/**
 * Writes down who did what to whom, in the transaction of the act itself, chained to the row before, and queues it for
 * the webhooks that are told of it. `detail` holds no secret.
 */
export function audit(
  store: Store,
  now: Date,
  row: { actor: string; act: string; subject: string; detail?: Record<string, unknown> },
): void {
  const { db } = store;
  const last = db.query<Pick<Row, 'id' | 'hash'>, []>('SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1').get();
  const chained: ChainedRow = {
    id: (last?.id ?? 0) + 1,
    at: now.toISOString(),
    actor: row.actor,
    act: row.act,
    subject: row.subject,
    detail: JSON.stringify(row.detail ?? {}),
  };
  db.query(`INSERT INTO audit (${columns}) VALUES ($id, $at, $actor, $act, $subject, $detail, $hash)`).run({
    ...chained,
    hash: chainHash(last?.hash ?? beginning, chained),
  });
  const event = eventOf({ ...row, detail: row.detail ?? {} });
  if (event !== undefined) queueEvent(store, event, now);
}

export function countAudited({ db }: Store, act: string, subject: string): number {
  const row = db
    .query<{ total: number }, [string, string]>('SELECT count(*) AS total FROM audit WHERE act = ? AND subject = ?')
    .get(act, subject);
  return row?.total ?? 0;
}

/** The rows of one act on one subject since a moment, oldest first. */
export function auditedSince({ db }: Store, act: string, subject: string, since: Date): AuditRow[] {
  return db
    .query<Row, [string, string, string]>(
      `SELECT ${columns} FROM audit WHERE act = ? AND subject = ? AND at > ? ORDER BY id`,
    )
    .all(act, subject, since.toISOString())
    .map(toRow);
}

export function pageOfAudit(
  store: Store,
  filters: AuditFilters,
  asked: Asked<NonNullable<AuditList['sort']>>,
): Page<AuditRow> {
  const listing = { columns, table: 'audit', where: conditions(filters), orders: { at: 'id' }, id: `''` };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map(toRow) };
}

/** The newest row's id, once all that was written before is on the disk: no row up to it changes any more. */
export function lastAuditId(store: Store): number {
  store.flush();
  return store.db.query<{ id: number }, []>('SELECT max(id) AS id FROM audit').get()?.id ?? 0;
}

/** The next rows, oldest first, behind `after` and up to `last`. */
export function nextAuditRows(
  { db }: Store,
  filters: AuditFilters,
  { after, last, limit }: { after: number; last: number; limit: number },
): AuditRow[] {
  const { filter, parameters } = sqlOf([
    { sql: 'id > $after AND id <= $last', with: { after, last } },
    ...conditions(filters),
  ]);
  return db
    .query<Row, [Record<string, string | number>]>(`SELECT ${columns} FROM audit ${filter} ORDER BY id LIMIT $limit`)
    .all({ ...parameters, limit })
    .map(toRow);
}

/** A family of acts is named by its first word; a user's acts by whichever token belong to the user. */
function conditions({ actor, token, act, subject, since, until }: AuditFilters): Condition[] {
  return [
    actor === undefined
      ? undefined
      : {
          sql: `actor = $actor OR (actor >= $actor || ' token ' AND actor < $actor || ' token!')`,
          with: { actor },
        },
    token === undefined ? undefined : { sql: `substr(actor, -43) = ' token ' || $token`, with: { token } },
    act === undefined ? undefined : { sql: `act = $act OR (act >= $act || '.' AND act < $act || '/')`, with: { act } },
    equal('subject', 'subject', subject),
    since === undefined ? undefined : { sql: 'at >= $since', with: { since } },
    until === undefined ? undefined : { sql: 'at < $until', with: { until } },
  ];
}
