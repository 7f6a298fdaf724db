import type { User } from '#contract/admin.ts';
import type { TokenList } from '#contract/lists.ts';
import type { ApiToken, TokenArea, TokenPermission } from '#contract/token.ts';
import type { Result } from '../decisions/result.ts';
import { sameHash, sha256Hex } from '../formats/hash.ts';
import { audit } from './audit.ts';
import { type Asked, equal, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';
import { findUser } from './users.ts';

type Row = {
  id: string;
  hash: string;
  user_id: string;
  email: string;
  name: string;
  permission: TokenPermission;
  areas: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
};

const columns = `api_tokens.id, api_tokens.hash, api_tokens.user_id, users.email, api_tokens.name,
  api_tokens.permission, api_tokens.areas, api_tokens.created_at, api_tokens.expires_at, api_tokens.last_used_at`;
const from = 'api_tokens JOIN users ON users.id = api_tokens.user_id';

const toToken = (row: Row): ApiToken => ({
  id: row.id,
  name: row.name,
  userId: row.user_id,
  email: row.email,
  permission: row.permission,
  areas: row.areas === null ? null : JSON.parse(row.areas),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
});

export type NewStoredToken = {
  userId: string;
  name: string;
  permission: TokenPermission;
  areas: TokenArea[] | null;
  expiresAt: string | null;
};

/** Long over, nobody asks any more why it stopped working. */
const keptMilliseconds = 30 * 86_400_000;

/** The one moment a token is known: only its hash is stored. */
export function addToken(
  store: Store,
  wanted: NewStoredToken,
  actor: string,
  now: Date,
): Result<ApiToken & { token: string }> {
  const token = `pst_${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')}`;
  return store.write((): Result<ApiToken & { token: string }> => {
    if (findUser(store, wanted.userId) === undefined) return { ok: false, reason: 'not-found' };
    const { userId, name, permission, areas, expiresAt } = wanted;
    const id = Bun.randomUUIDv7();
    store.db
      .query('DELETE FROM api_tokens WHERE expires_at < ?')
      .run(new Date(now.getTime() - keptMilliseconds).toISOString());
    store.db
      .query(
        `INSERT INTO api_tokens (id, hash, user_id, name, permission, areas, created_at, expires_at)
         VALUES ($id, $hash, $userId, $name, $permission, $areas, $now, $expiresAt)`,
      )
      .run({
        id,
        hash: sha256Hex(token),
        userId,
        name,
        permission,
        areas: areas === null ? null : JSON.stringify(areas),
        now: now.toISOString(),
        expiresAt,
      });
    audit(store, now, { actor, act: 'token.add', subject: id, detail: { userId, name, permission, areas, expiresAt } });
    const made = findToken(store, id);
    return made === undefined ? { ok: false, reason: 'not-found' } : { ok: true, value: { ...made, token } };
  });
}

/** A token without an end that is worth what its user is: the first owner's. */
export function addApiToken(store: Store, userId: string, now: Date): string {
  const made = addToken(
    store,
    { userId, name: 'first', permission: 'owner', areas: null, expiresAt: null },
    'setup',
    now,
  );
  if (!made.ok) throw new Error('the user of the first token is not there');
  return made.value.token;
}

/** The token with this secret and the user whose it is: run out or not, disabled or not. */
export function findBearer(store: Store, secret: string): { token: ApiToken; user: User } | undefined {
  const hash = sha256Hex(secret);
  const row = store.db.query<Row, [string]>(`SELECT ${columns} FROM ${from} WHERE api_tokens.hash = ?`).get(hash);
  if (row === null || !sameHash(row.hash, hash)) return undefined;
  const user = findUser(store, row.user_id);
  return user === undefined ? undefined : { token: toToken(row), user };
}

export function findToken({ db }: Store, id: string): ApiToken | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM ${from} WHERE api_tokens.id = ?`).get(id);
  return row === null ? undefined : toToken(row);
}

export type TokenSort = NonNullable<TokenList['sort']>;

export function pageOfTokens(store: Store, { userId }: { userId?: string }, asked: Asked<TokenSort>): Page<ApiToken> {
  const listing = {
    columns,
    table: 'api_tokens',
    from,
    where: [equal('api_tokens.user_id', 'userId', userId)],
    orders: { createdAt: 'api_tokens.created_at', name: 'api_tokens.name' },
    id: 'api_tokens.id',
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map(toToken) };
}

/** What is revoked is forgotten, but for the audit log. */
export function revokeToken(store: Store, id: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const token = findToken(store, id);
    if (token === undefined) return { ok: false, reason: 'not-found' };
    store.db.query('DELETE FROM api_tokens WHERE id = ?').run(id);
    audit(store, now, {
      actor,
      act: 'token.revoke',
      subject: id,
      detail: { userId: token.userId, name: token.name, permission: token.permission },
    });
    return { ok: true, value: undefined };
  });
}

/** Writes down when tokens were used last. No act of anybody, so without an audit row. */
export function recordUses(store: Store, uses: ReadonlyMap<string, Date>): void {
  store.write(() => {
    const record = store.db.query(
      'UPDATE api_tokens SET last_used_at = max(coalesce(last_used_at, $at), $at) WHERE id = $id',
    );
    for (const [id, at] of uses) record.run({ id, at: at.toISOString() });
  });
}
