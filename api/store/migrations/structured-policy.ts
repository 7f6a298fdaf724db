import type { Database } from 'bun:sqlite';
import { documentOf, type StructuredPolicy } from '../../decisions/structured-policy.ts';

/** Turns the policy of a database that had none as a document into one. Nodes see another snapshot, so its number grows. */
export function policyToDocument(db: Database): void {
  const row = db.query<{ policy: string; revised_at: string }, []>('SELECT policy, revised_at FROM settings').get();
  if (row !== null) {
    const policy: StructuredPolicy = JSON.parse(row.policy);
    db.query(
      `INSERT INTO policies (revision, document, mark, at, actor, note)
       VALUES (1, $document, $mark, $at, 'postern', 'Made from the policy of an earlier version')`,
    ).run({ document: documentOf(policy), mark: Bun.randomUUIDv7(), at: row.revised_at });
    // A master that knows of a newer one stands still; no node takes a snapshot of it.
    db.run('UPDATE settings SET revision = revision + 1 WHERE superseded IS NULL');
  }
  db.run('ALTER TABLE settings DROP COLUMN policy');
}
