import type { Code } from '#contract/admin.ts';
import { type CodeFacts, codeState } from '../decisions/codes.ts';
import type { Result } from '../decisions/result.ts';
import { audit } from './audit.ts';
import type { Store } from './open.ts';

/** A code as it is kept: only its hash, and the signed statement that backs it. */
export type StoredCode = CodeFacts & {
  id: string;
  userId: string | null;
  hash: string;
  backing: string;
  createdAt: string;
  holder: (CodeFacts['holder'] & { deviceId: string }) | null;
};

type Row = {
  id: string;
  user_id: string | null;
  hash: string;
  backing: string;
  created_at: string;
  expires_at: string;
  spent_at: string | null;
  withdrawn_at: string | null;
  disabled: number | null;
  device_id: string | null;
  public_key: string;
  credential_key: string;
  registered_at: string | null;
  leased_until: string;
};

const withHolder = `
  SELECT codes.id, codes.user_id, codes.hash, codes.backing, codes.created_at, codes.expires_at, codes.spent_at,
    codes.withdrawn_at, users.disabled, devices.id AS device_id, devices.public_key, devices.credential_key,
    devices.registered_at, devices.leased_until
  FROM codes LEFT JOIN users ON users.id = codes.user_id LEFT JOIN devices ON devices.code_id = codes.id`;

const toCode = (row: Row): StoredCode => ({
  id: row.id,
  userId: row.user_id,
  hash: row.hash,
  backing: row.backing,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  spentAt: row.spent_at,
  withdrawnAt: row.withdrawn_at,
  userDisabled: row.disabled !== 0,
  holder:
    row.device_id === null
      ? null
      : {
          deviceId: row.device_id,
          publicKey: row.public_key,
          credentialKey: row.credential_key,
          registered: row.registered_at !== null,
          leasedUntil: row.leased_until,
        },
});

export function findCodeByHash({ db }: Store, hash: string): StoredCode | undefined {
  const row = db.query<Row, [string]>(`${withHolder} WHERE codes.hash = ?`).get(hash);
  return row === null ? undefined : toCode(row);
}

export function findCode({ db }: Store, id: string): StoredCode | undefined {
  const row = db.query<Row, [string]>(`${withHolder} WHERE codes.id = ?`).get(id);
  return row === null ? undefined : toCode(row);
}

export function codesOfUser({ db }: Store, userId: string, now: Date): Code[] {
  return db
    .query<Row, [string]>(`${withHolder} WHERE codes.user_id = ? ORDER BY codes.id`)
    .all(userId)
    .map(toCode)
    .map((code) => ({
      id: code.id,
      userId,
      state: codeState(code, now),
      createdAt: code.createdAt,
      expiresAt: code.expiresAt,
    }));
}

export function addCode(
  store: Store,
  code: { id: string; userId: string; hash: string; backing: string; expiresAt: string },
  actor: string,
  now: Date,
): Result<undefined> {
  return store.write((): Result<undefined> => {
    const user = store.db
      .query<{ disabled: number }, [string]>('SELECT disabled FROM users WHERE id = ?')
      .get(code.userId);
    if (user === null) return { ok: false, reason: 'not-found' };
    if (user.disabled === 1)
      return { ok: false, reason: 'in-use', detail: 'The user is disabled; enable the user before making a code.' };
    store.db
      .query(
        `INSERT INTO codes (id, user_id, hash, backing, created_at, expires_at)
         VALUES ($id, $userId, $hash, $backing, $now, $expiresAt)`,
      )
      .run({ ...code, now: now.toISOString() });
    audit(store, now, {
      actor,
      act: 'code.add',
      subject: code.id,
      detail: { userId: code.userId, expiresAt: code.expiresAt },
    });
    return { ok: true, value: undefined };
  });
}

/** Makes a code worthless, with a reservation it may hold. Withdrawing it again changes nothing. */
export function withdrawCode(store: Store, id: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const code = findCode(store, id);
    if (code === undefined) return { ok: false, reason: 'not-found' };
    if (code.spentAt !== null)
      return { ok: false, reason: 'code-used', detail: 'A device has used it; revoke the device instead.' };
    if (code.withdrawnAt !== null) return { ok: true, value: undefined };
    store.db.query('DELETE FROM devices WHERE code_id = ? AND registered_at IS NULL').run(id);
    store.db.query('UPDATE codes SET withdrawn_at = ? WHERE id = ?').run(now.toISOString(), id);
    audit(store, now, { actor, act: 'code.withdraw', subject: id, detail: { userId: code.userId } });
    return { ok: true, value: undefined };
  });
}
