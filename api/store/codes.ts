import type { Code, MachineDevice } from '#contract/admin.ts';
import type { CodeList } from '#contract/lists.ts';
import { type CodeFacts, codeState } from '../decisions/codes.ts';
import type { Result } from '../decisions/result.ts';
import { audit } from './audit.ts';
import { type Asked, type Condition, equal, type Page, readPage } from './listing.ts';
import { planned, type Store } from './open.ts';

/** A code as it is kept: only its hash, and the signed statement that backs it. */
export type StoredCode = CodeFacts & {
  id: string;
  userId: string | null;
  hash: string;
  backing: string;
  /** What a machine that it lets in is; null for a person's device. */
  device: MachineDevice | null;
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
  machine_seconds: number | null;
  disabled: number | null;
  device_id: string | null;
  public_key: string;
  credential_key: string;
  registered_at: string | null;
  leased_until: string;
};

const columns = `codes.id, codes.user_id, codes.hash, codes.backing, codes.created_at, codes.expires_at, codes.spent_at,
    codes.withdrawn_at, codes.machine_seconds, users.disabled, devices.id AS device_id, devices.public_key,
    devices.credential_key, devices.registered_at, devices.leased_until`;
const holder = 'LEFT JOIN users ON users.id = codes.user_id LEFT JOIN devices ON devices.code_id = codes.id';
const withHolder = `SELECT ${columns} FROM codes ${holder}`;

const toCode = (row: Row): StoredCode => ({
  id: row.id,
  userId: row.user_id,
  hash: row.hash,
  backing: row.backing,
  device: row.machine_seconds === null ? null : { kind: 'machine', expiresIn: row.machine_seconds },
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
  const row = db.query<Row, [string]>(`${withHolder} WHERE codes.hash = ${planned}`).get(hash);
  return row === null ? undefined : toCode(row);
}

export function findCode({ db }: Store, id: string): StoredCode | undefined {
  const row = db.query<Row, [string]>(`${withHolder} WHERE codes.id = ${planned}`).get(id);
  return row === null ? undefined : toCode(row);
}

/** A code as admins see it: what became of it, and never the code. */
export function shownCode(code: StoredCode, now: Date): Code {
  const { id, userId, device, createdAt, expiresAt } = code;
  const state = codeState(code, now);
  // A lease that has run out is swept with the next one that is made.
  const isHeld = code.holder !== null && (state === 'leased' || state === 'spent');
  return { id, userId, state, device, deviceId: isHeld ? (code.holder?.deviceId ?? null) : null, createdAt, expiresAt };
}

export type CodeSort = NonNullable<CodeList['sort']>;
export type CodeFilters = Pick<CodeList, 'userId' | 'state'>;

export function pageOfCodes(store: Store, filters: CodeFilters, asked: Asked<CodeSort>, now: Date): Page<Code> {
  const listing = {
    columns,
    table: 'codes',
    from: `codes ${holder}`,
    where: [equal('codes.user_id', 'userId', filters.userId), inState(filters.state, now)],
    orders: { createdAt: 'codes.created_at', expiresAt: 'codes.expires_at' },
    id: 'codes.id',
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map((row) => shownCode(toCode(row), now)) };
}

/** What decisions/codes.ts calls a code, as a condition. */
function inState(state: Code['state'] | undefined, now: Date): Condition {
  if (state === undefined) return undefined;
  const unused = 'codes.spent_at IS NULL AND codes.withdrawn_at IS NULL';
  const held = 'EXISTS (SELECT 1 FROM devices AS d WHERE d.code_id = codes.id AND d.leased_until > $now)';
  const ofState = {
    spent: 'codes.spent_at IS NOT NULL',
    withdrawn: 'codes.withdrawn_at IS NOT NULL',
    expired: `${unused} AND codes.expires_at <= $now`,
    leased: `${unused} AND codes.expires_at > $now AND ${held}`,
    open: `${unused} AND codes.expires_at > $now AND NOT ${held}`,
  };
  const sql = ofState[state];
  return sql.includes('$now') ? { sql, with: { now: now.toISOString() } } : { sql };
}

export function addCode(
  store: Store,
  code: { id: string; userId: string; hash: string; backing: string; expiresAt: string; device?: MachineDevice },
  actor: string,
  now: Date,
): Result<undefined> {
  const { device, ...kept } = code;
  return store.write((): Result<undefined> => {
    const user = store.db
      .query<{ disabled: number }, [string]>('SELECT disabled FROM users WHERE id = ?')
      .get(code.userId);
    if (user === null) return { ok: false, reason: 'not-found' };
    if (user.disabled === 1)
      return { ok: false, reason: 'in-use', detail: 'The user is disabled; enable the user before making a code.' };
    store.db
      .query(
        `INSERT INTO codes (id, user_id, hash, backing, created_at, expires_at, machine_seconds)
         VALUES ($id, $userId, $hash, $backing, $now, $expiresAt, $machineSeconds)`,
      )
      .run({ ...kept, machineSeconds: device?.expiresIn ?? null, now: now.toISOString() });
    audit(store, now, {
      actor,
      act: 'code.add',
      subject: code.id,
      detail: { userId: code.userId, expiresAt: code.expiresAt, ...(device === undefined ? {} : { device }) },
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
