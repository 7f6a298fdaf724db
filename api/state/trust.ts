import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader } from 'jose';
import * as v from 'valibot';
import { signedTypes, TrustList } from '#contract/trust.ts';
import { importEd25519 } from '../keys/working-keys.ts';

/** The thumbprint that clients and agents pin, from the list that the root signed. */
export async function rootThumbprint(trust: string): Promise<string> {
  const { jwk } = decodeProtectedHeader(trust);
  if (jwk === undefined) throw new Error('the trust list names no root key');
  return calculateJwkThumbprint(jwk, 'sha256');
}

/**
 * The list itself, if its signature holds.
 *
 * @throws when it was not signed by the key it names: the file is damaged.
 */
export async function readTrustList(trust: string): Promise<TrustList> {
  const { jwk, typ } = decodeProtectedHeader(trust);
  if (jwk === undefined || typ !== signedTypes.trust) throw new Error('the trust list names no root key');
  const { payload } = await compactVerify(trust, await importEd25519(jwk), { algorithms: ['EdDSA'] });
  return v.parse(TrustList, JSON.parse(new TextDecoder().decode(payload)));
}
