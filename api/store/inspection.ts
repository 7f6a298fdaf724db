import { Database } from 'bun:sqlite';
import { schemaVersion } from './migrations.ts';

/** What a look through a whole database found. `problems` is empty when everything fits together. */
export type Inspection = {
  schema: number;
  epoch: number;
  revision: number;
  users: number;
  devices: number;
  codesSpent: number;
  enrolments: number;
  revocations: number;
  problems: string[];
};

/** Each finds what cannot be, when acts are whole: a row for each, or a number that is not 0. */
const contradictions: readonly [string, string][] = [
  [
    'devices whose code is not spent, or that are not registered though it is',
    `SELECT count(*) FROM devices JOIN codes ON codes.id = devices.code_id
     WHERE (devices.registered_at IS NULL) <> (codes.spent_at IS NULL)`,
  ],
  [
    'devices that joined without a line in the audit log',
    `SELECT count(*) FROM devices WHERE registered_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM audit WHERE act = 'device.enrol' AND subject = devices.id)`,
  ],
  [
    'spent codes without a line in the audit log, or lines without a code',
    `SELECT abs((SELECT count(*) FROM codes WHERE spent_at IS NOT NULL)
       - (SELECT count(*) FROM audit WHERE act = 'device.enrol'))`,
  ],
  [
    'addresses that two have',
    `SELECT count(*) - count(DISTINCT address) FROM
       (SELECT address FROM devices UNION ALL SELECT tunnel_address FROM nodes)`,
  ],
  [
    'devices from a revision that is still to come',
    `SELECT count(*) FROM devices, settings WHERE max(coalesce(listed_revision, 0), bundle_revision) > revision`,
  ],
  [
    'devices of a disabled user that nodes are told of',
    `SELECT count(*) FROM devices JOIN users ON users.id = devices.user_id
     WHERE users.disabled = 1 AND devices.listed_revision IS NOT NULL`,
  ],
];

/** Reads everything and changes nothing, also beside a master that serves it. */
export function checkDatabase(path: string): Inspection {
  const db = new Database(path, { readonly: true, strict: true });
  try {
    // One look, at one moment, whatever is written meanwhile.
    db.run('BEGIN');
    const count = (sql: string): number => Object.values(db.query<Record<string, number>, []>(sql).get() ?? {})[0] ?? 0;
    const damage = db.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all();
    const orphans = db.query('PRAGMA foreign_key_check').all().length;
    const problems = damage.map((row) => row.integrity_check).filter((said) => said !== 'ok');
    if (orphans > 0) problems.push(`rows that belong to nothing: ${orphans}`);
    for (const [what, sql] of contradictions) {
      const found = count(sql);
      if (found > 0) problems.push(`${what}: ${found}`);
    }
    return {
      schema: schemaVersion(db),
      epoch: count('SELECT epoch FROM settings'),
      revision: count('SELECT revision FROM settings'),
      users: count('SELECT count(*) FROM users'),
      devices: count('SELECT count(*) FROM devices WHERE registered_at IS NOT NULL'),
      codesSpent: count('SELECT count(*) FROM codes WHERE spent_at IS NOT NULL'),
      enrolments: count(`SELECT count(*) FROM audit WHERE act = 'device.enrol'`),
      revocations: count(`SELECT count(*) FROM audit WHERE act = 'device.revoke'`),
      problems,
    };
  } finally {
    db.close();
  }
}
