import type { Database } from 'bun:sqlite';
import { beginning, type ChainedRow, chainHash } from '../../formats/audit-chain.ts';

/** Chains the audit rows from before there was a chain, and forgets where they stood. */
export function chainAudit(db: Database): void {
  const insert = db.prepare(
    'INSERT INTO audit (id, at, actor, act, subject, detail, hash) VALUES ($id, $at, $actor, $act, $subject, $detail, $hash)',
  );
  const rows = db.prepare<ChainedRow, []>(
    'SELECT id, at, actor, act, subject, detail FROM unchained_audit ORDER BY id',
  );
  let hash = beginning;
  for (const row of rows.iterate()) {
    hash = chainHash(hash, row);
    insert.run({ ...row, hash });
  }
  // One that is not finalized keeps the database from closing, and its WAL beside it.
  for (const statement of [insert, rows]) statement.finalize();
  db.run('DROP TABLE unchained_audit');
}
