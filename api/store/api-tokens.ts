import { timingSafeEqual } from 'node:crypto';
import type { User } from '#contract/admin.ts';
import { sha256Hex } from '../formats/hash.ts';
import type { Store } from './open.ts';
import { findUser } from './users.ts';

/** The one moment a token is known: only its hash is stored. */
export function addApiToken(store: Store, userId: string, now: Date): string {
  const token = `pst_${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')}`;
  store.write(() =>
    store.db
      .query('INSERT INTO api_tokens (hash, user_id, created_at) VALUES (?, ?, ?)')
      .run(sha256Hex(token), userId, now.toISOString()),
  );
  return token;
}

/** The user whose token this is, disabled or not. */
export function userOfToken(store: Store, token: string): User | undefined {
  const hash = sha256Hex(token);
  const row = store.db
    .query<{ hash: string; user_id: string }, [string]>('SELECT hash, user_id FROM api_tokens WHERE hash = ?')
    .get(hash);
  if (row === null || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return undefined;
  return findUser(store, row.user_id);
}
