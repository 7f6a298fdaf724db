import type { JWTPayload } from 'jose';
import { sha256Hex } from '../formats/hash.ts';
import type { WorkingKeyPair } from './working-keys.ts';

/**
 * Tokens whose signature held, or was made here. One token comes with many requests, and to check its signature takes
 * longer than all the rest of a small request. What they claim never changes; only their time has to be judged anew.
 *
 * Kept by hash, so that looking one up tells nothing of it, and for each key, so that they are gone with it.
 */
const known = new WeakMap<WorkingKeyPair, Map<string, JWTPayload>>();
const most = 10_000;

export function remember(key: WorkingKeyPair, typ: string, jwt: string, claims: JWTPayload): void {
  const ofKey = known.get(key) ?? new Map<string, JWTPayload>();
  known.set(key, ofKey);
  ofKey.set(sha256Hex(`${typ} ${jwt}`), claims);
  const oldest = ofKey.size > most ? ofKey.keys().next().value : undefined;
  if (oldest !== undefined) ofKey.delete(oldest);
}

/** What a token claims that was checked before as one of this type. */
export function recall(key: WorkingKeyPair, typ: string, jwt: string): JWTPayload | undefined {
  return known.get(key)?.get(sha256Hex(`${typ} ${jwt}`));
}
