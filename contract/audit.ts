import * as v from 'valibot';
import { Count, Timestamp } from './name.ts';

/** The audit log as the API shows it. */

/** SHA-256 in lower-case hex. */
export const AuditHash = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, 'must be a hash as the audit log shows it, 64 of 0-9 and a-f'),
  v.examples(['7d793037a0760186574b0282f2f435e77cffe2c9a6b8e1d0c1b0a3f4e5d6c7b8']),
);

/**
 * Who did what to whom. `actor` is `user E-MAIL token ID`, `device ID`, `node NAME` or a part of the master itself;
 * `subject` is the id or name of what it was done to. `hash` is over this row and the hash of the row before.
 */
export const AuditRow = v.object({
  id: Count,
  at: Timestamp,
  actor: v.string(),
  act: v.pipe(v.string(), v.examples(['device.revoke'])),
  subject: v.string(),
  detail: v.record(v.string(), v.unknown()),
  hash: AuditHash,
});
export type AuditRow = v.InferOutput<typeof AuditRow>;

/**
 * `rows` were looked at, the last of which has the hash `head`, null where there is none. `firstBroken` is the id of the
 * first row whose hash is not that of its content and its predecessor, null where there is none. `known` says where the
 * head that was asked about stands: null when none was asked about, or when no row has it.
 */
export const AuditVerdict = v.object({
  ok: v.boolean(),
  rows: Count,
  head: v.nullable(AuditHash),
  firstBroken: v.nullable(Count),
  known: v.nullable(v.object({ id: Count, at: Timestamp, rowsSince: Count })),
});
export type AuditVerdict = v.InferOutput<typeof AuditVerdict>;
