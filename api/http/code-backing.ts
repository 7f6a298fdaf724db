import { sameHash } from '../formats/hash.ts';
import { verifyCodeBacking } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { currentVersion } from '../store/settings.ts';

type Kept = { readonly id: string; readonly backing: string; readonly createdAt: string };

/**
 * The code with this hash, if the statement that backs it holds: signed by us, about this very code, and of this life
 * of the database. Its time is judged later, since a code that ran out is told from one that never was.
 */
export async function backed<C extends Kept>(
  { store, keys, log }: Master,
  code: C | undefined,
  hash: string,
): Promise<C | undefined> {
  if (code === undefined) return undefined;
  const backing = await verifyCodeBacking(code.backing, keys.tokens, new Date(code.createdAt));
  const holds =
    backing.ok &&
    backing.claims.jti === code.id &&
    sameHash(backing.claims.hash, hash) &&
    backing.claims.epoch === currentVersion(store).epoch;
  if (!holds)
    log.error({ codeId: code.id }, 'a code is not backed: signed by another key, altered, or of another epoch');
  return holds ? code : undefined;
}
