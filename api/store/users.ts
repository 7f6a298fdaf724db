import type { NewUser, Permission, User, UserChange, WantedUser } from '#contract/admin.ts';
import type { UserList } from '#contract/lists.ts';
import type { Result } from '../decisions/result.ts';
import { roleProblem } from '../decisions/roles.ts';
import { audit } from './audit.ts';
import { listDevicesOfUser, refreshBundles } from './bundles.ts';
import { removeDevice } from './devices.ts';
import { type Asked, equal, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';
import { outlineInForce } from './policies.ts';
import { raiseRevision } from './settings.ts';

type Row = { id: string; email: string; role: string; permission: Permission; disabled: number; created_at: string };

const columns = 'id, email, role, permission, disabled, created_at';

const toUser = (row: Row): User => ({
  id: row.id,
  email: row.email,
  role: row.role,
  permission: row.permission,
  disabled: row.disabled === 1,
  createdAt: row.created_at,
});

export type UserSort = NonNullable<UserList['sort']>;
export type UserFilters = Pick<UserList, 'role' | 'permission' | 'disabled' | 'q'>;

export function pageOfUsers(store: Store, filters: UserFilters, asked: Asked<UserSort>): Page<User> {
  const { role, permission, disabled, q } = filters;
  const listing = {
    columns,
    table: 'users',
    where: [
      equal('role', 'role', role),
      equal('permission', 'permission', permission),
      equal('disabled', 'disabled', disabled === undefined ? undefined : Number(disabled)),
      // Addresses are stored in lower case.
      q === undefined ? undefined : { sql: 'instr(email, $q) > 0', with: { q: q.toLowerCase() } },
    ],
    orders: { email: 'email', createdAt: 'created_at' },
    id: 'id',
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map(toUser) };
}

export function findUser({ db }: Store, id: string): User | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM users WHERE id = ?`).get(id);
  return row === null ? undefined : toUser(row);
}

export function findUserByEmail({ db }: Store, email: string): User | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM users WHERE email = ?`).get(email);
  return row === null ? undefined : toUser(row);
}

/** Makes the user with this e-mail address what is wanted, added if need be. Asked again, it changes nothing. */
export function putUser(
  store: Store,
  email: string,
  wanted: WantedUser,
  actor: string,
  now: Date,
): Result<{ user: User; added: boolean }> {
  return store.write((): Result<{ user: User; added: boolean }> => {
    const known = findUserByEmail(store, email);
    const result =
      known === undefined
        ? addUser(store, { email, ...wanted }, actor, now)
        : changeUser(store, known.id, wanted, actor, now);
    return result.ok ? { ok: true, value: { user: result.value, added: known === undefined } } : result;
  });
}

export function addUser(
  store: Store,
  user: NewUser & Pick<WantedUser, 'disabled'>,
  actor: string,
  now: Date,
): Result<User> {
  return store.write((): Result<User> => {
    const unknownRole = roleProblem(outlineInForce(store), user.role);
    if (unknownRole !== undefined) return { ok: false, reason: 'invalid-input', errors: [unknownRole] };
    const taken = store.db.query('SELECT 1 FROM users WHERE email = ?').get(user.email);
    if (taken !== null)
      return { ok: false, reason: 'already-exists', detail: 'A user with this e-mail address exists.' };
    const row = {
      id: Bun.randomUUIDv7(),
      email: user.email,
      role: user.role,
      permission: user.permission ?? 'none',
      disabled: user.disabled === true ? 1 : 0,
      created_at: now.toISOString(),
    };
    store.db
      .query(
        `INSERT INTO users (id, email, role, permission, disabled, created_at)
         VALUES ($id, $email, $role, $permission, $disabled, $created_at)`,
      )
      .run(row);
    raiseRevision(store, now);
    audit(store, now, {
      actor,
      act: 'user.add',
      subject: row.id,
      detail: { email: row.email, role: row.role, permission: row.permission, disabled: row.disabled === 1 },
    });
    return { ok: true, value: toUser(row) };
  });
}

/** Changes what is named and leaves the rest; a change to what is there already is no change. */
export function changeUser(store: Store, id: string, change: UserChange, actor: string, now: Date): Result<User> {
  return store.write((): Result<User> => {
    const user = findUser(store, id);
    if (user === undefined) return { ok: false, reason: 'not-found' };
    const next: User = {
      ...user,
      role: change.role ?? user.role,
      permission: change.permission ?? user.permission,
      disabled: change.disabled ?? user.disabled,
    };
    if (next.role === user.role && next.permission === user.permission && next.disabled === user.disabled)
      return { ok: true, value: user };
    if (next.role !== user.role) {
      const unknownRole = roleProblem(outlineInForce(store), next.role);
      if (unknownRole !== undefined) return { ok: false, reason: 'invalid-input', errors: [unknownRole] };
    }
    if (isLastOwner(store, user) && (next.permission !== 'owner' || next.disabled)) return lastOwner;
    store.db
      .query('UPDATE users SET role = $role, permission = $permission, disabled = $disabled WHERE id = $id')
      .run({ id, role: next.role, permission: next.permission, disabled: next.disabled ? 1 : 0 });
    if (next.role !== user.role || next.disabled !== user.disabled) {
      const { revision } = raiseRevision(store, now);
      refreshBundles(store, { userId: id }, revision, now);
      listDevicesOfUser(store, id, next.disabled ? null : revision);
    }
    audit(store, now, {
      actor,
      act: 'user.change',
      subject: id,
      detail: {
        email: user.email,
        role: next.role,
        permission: next.permission,
        disabled: next.disabled,
        was: { role: user.role, permission: user.permission, disabled: user.disabled },
      },
    });
    return { ok: true, value: next };
  });
}

/** Removes a user with all its devices; its open codes are withdrawn, its spent ones stay spent. */
export function removeUser(store: Store, id: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const user = findUser(store, id);
    if (user === undefined) return { ok: false, reason: 'not-found' };
    if (isLastOwner(store, user)) return lastOwner;
    const { revision } = raiseRevision(store, now);
    const devices = store.db.query<{ id: string }, [string]>('SELECT id FROM devices WHERE user_id = ?').all(id);
    for (const device of devices) removeDevice(store, device.id, revision);
    store.db
      .query('UPDATE codes SET withdrawn_at = ? WHERE user_id = ? AND spent_at IS NULL AND withdrawn_at IS NULL')
      .run(now.toISOString(), id);
    store.db.query('DELETE FROM users WHERE id = ?').run(id);
    audit(store, now, {
      actor,
      act: 'user.remove',
      subject: id,
      detail: { email: user.email, devices: devices.length },
    });
    return { ok: true, value: undefined };
  });
}

const lastOwner = {
  ok: false,
  reason: 'last-owner',
  detail: 'Give another enabled user the permission "owner" first.',
} as const;

function isLastOwner({ db }: Store, user: User): boolean {
  if (user.permission !== 'owner' || user.disabled) return false;
  return db.query(`SELECT 1 FROM users WHERE permission = 'owner' AND disabled = 0 AND id <> ?`).get(user.id) === null;
}
