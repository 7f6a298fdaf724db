import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import * as v from 'valibot';
import { SigningKey } from '#contract/key.ts';
import { Timestamp } from '#contract/name.ts';

/** An Ed25519 key as it is kept in a file: a private JWK (RFC 8037) with the moment after which it must not be used. */
export const KeyFile = v.object({
  kty: v.literal('OKP'),
  crv: v.literal('Ed25519'),
  x: SigningKey,
  d: v.string(),
  kid: v.string(),
  notAfter: Timestamp,
});
export type KeyFile = v.InferOutput<typeof KeyFile>;

/** A key in memory, ready to sign and to check its own signatures. */
export type WorkingKeyPair = { kid: string; x: string; notAfter: string; sign: CryptoKey; verify: CryptoKey };

/** The key that signs tokens, and its predecessors: what they signed is good until they run out themselves. */
export type TokenKey = WorkingKeyPair & { retired?: readonly WorkingKeyPair[] };

/** The keys that the running master signs with. They are renewed while it runs: read them when they are needed. */
export type SigningKeys = {
  readonly tokens: TokenKey;
  readonly snapshots: WorkingKeyPair;
  readonly bundles: WorkingKeyPair;
};

export async function makeKey(notAfter: Date): Promise<KeyFile> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk, 'sha256');
  return v.parse(KeyFile, { ...jwk, kid, notAfter: notAfter.toISOString() });
}

export async function useKey(file: KeyFile): Promise<WorkingKeyPair> {
  const { kid, x, notAfter } = file;
  return { kid, x, notAfter, sign: await importEd25519(file), verify: await importEd25519(publicJwk(x)) };
}

export function publicJwk(x: string): JWK {
  return { kty: 'OKP', crv: 'Ed25519', x };
}

export async function importEd25519(jwk: JWK): Promise<CryptoKey> {
  const { kty, crv, x, d } = jwk;
  const key = await importJWK({ kty, crv, x, ...(d === undefined ? {} : { d }) } as JWK, 'EdDSA');
  if (key instanceof Uint8Array) throw new TypeError('an Ed25519 key was expected');
  return key;
}
