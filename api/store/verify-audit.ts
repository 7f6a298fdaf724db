import type { AuditVerdict } from '#contract/audit.ts';
import { beginning, type ChainedRow, chainHash } from '../formats/audit-chain.ts';
import { lastAuditId } from './audit.ts';
import type { Store } from './open.ts';

type Row = ChainedRow & { hash: string };

/** A few milliseconds of work; in between, other requests have their turn. */
const rowsAtOnce = 1_000;

/**
 * Reads the whole audit log and computes its chain anew. A changed row, a removed one and one put in between show
 * where they are. Rows cut off at the end show by the database's own count, unless that was set back too; `keptHead`, a
 * head of earlier, then tells.
 */
export async function verifyAudit(store: Store, keptHead?: string): Promise<AuditVerdict> {
  const last = lastAuditId(store);
  const ever = everWritten(store);
  let [rows, after, previous] = [0, 0, beginning];
  let firstBroken: number | null = null;
  let known: { id: number; at: string; row: number } | undefined;
  for (;;) {
    const chunk = store.db
      .query<Row, [number, number, number]>(
        'SELECT id, at, actor, act, subject, detail, hash FROM audit WHERE id > ? AND id <= ? ORDER BY id LIMIT ?',
      )
      .all(after, last, rowsAtOnce);
    for (const row of chunk) {
      rows++;
      if (firstBroken === null && chainHash(previous, row) !== row.hash) firstBroken = row.id;
      if (row.hash === keptHead) known = { id: row.id, at: row.at, row: rows };
      previous = row.hash;
      after = row.id;
    }
    if (chunk.length < rowsAtOnce) break;
    await new Promise(setImmediate);
  }
  if (ever > last) firstBroken ??= last + 1;
  return {
    ok: firstBroken === null && (keptHead === undefined || known !== undefined),
    rows,
    head: rows === 0 ? null : previous,
    firstBroken,
    known: known === undefined ? null : { id: known.id, at: known.at, rowsSince: rows - known.row },
  };
}

/** How far the database says it has counted. Read after the last row: both only grow, in the same turn they agree. */
function everWritten({ db }: Store): number {
  return db.query<{ seq: number }, []>(`SELECT seq FROM sqlite_sequence WHERE name = 'audit'`).get()?.seq ?? 0;
}
