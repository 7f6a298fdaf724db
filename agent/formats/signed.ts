import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, errors, importJWK } from 'jose';
import * as v from 'valibot';
import { Snapshot } from '#contract/snapshot.ts';
import { type KeyUse, signedTypes, TrustList } from '#contract/trust.ts';

/** A signed text was refused. Whatever was in it is not used. */
export class TrustError extends Error {
  override readonly name = 'TrustError';
  readonly code = 'not-trusted';
}

const algorithms = ['EdDSA', 'Ed25519'];
const RootHeader = v.object({
  typ: v.literal(signedTypes.trust),
  jwk: v.object({ kty: v.literal('OKP'), crv: v.literal('Ed25519'), x: v.string() }),
});
const SignedHeader = v.object({ typ: v.string(), kid: v.string() });

/**
 * The list of working keys, if the pinned root signed it.
 *
 * @throws TrustError
 */
export async function verifyTrust(text: string, root: string): Promise<TrustList> {
  return refusing('the list of keys', async () => {
    const { jwk } = v.parse(RootHeader, decodeProtectedHeader(text));
    if ((await calculateJwkThumbprint(jwk)) !== root)
      throw new TrustError('the list of keys is signed by another root key than the one pinned here');
    const { payload } = await compactVerify(text, await importJWK(jwk, 'EdDSA'), { algorithms });
    return v.parse(TrustList, JSON.parse(new TextDecoder().decode(payload)));
  });
}

/**
 * The snapshot, if a key of use `snapshots` on the list signed it. `at` is the moment at which the key must have been
 * valid; without it the moment at which the snapshot says it was made: a cached one outlives its key.
 *
 * @throws TrustError
 */
export async function verifySnapshot(text: string, trust: TrustList, at?: Date): Promise<Snapshot> {
  return refusing('the snapshot', async () => {
    const { payload, notAfter } = await verifyWorking(text, trust, 'snapshots', signedTypes.snapshot);
    const snapshot = v.parse(Snapshot, JSON.parse(payload));
    if (new Date(notAfter) < (at ?? new Date(snapshot.issuedAt)))
      throw new TrustError(`the key that signed the snapshot ran out at ${notAfter}`);
    return snapshot;
  });
}

/** The key that a text says it is signed with; undefined when it says nothing. Nothing is checked. */
export function signerOf(text: string): string | undefined {
  try {
    return decodeProtectedHeader(text).kid;
  } catch {
    return undefined;
  }
}

async function verifyWorking(text: string, trust: TrustList, use: KeyUse, typ: string) {
  const header = v.parse(SignedHeader, decodeProtectedHeader(text));
  if (header.typ !== typ) throw new TrustError(`a text of type ${header.typ} stands where ${typ} should`);
  const key = trust.keys.find((candidate) => candidate.kid === header.kid && candidate.use === use);
  if (key === undefined) throw new TrustError(`it is signed by a key that the root does not list for ${use}`);
  const imported = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: key.x }, 'EdDSA');
  const { payload } = await compactVerify(text, imported, { algorithms });
  return { payload: new TextDecoder().decode(payload), notAfter: key.notAfter };
}

async function refusing<T>(what: string, verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (cause) {
    if (cause instanceof TrustError) throw cause;
    if (cause instanceof errors.JWSSignatureVerificationFailed)
      throw new TrustError(`${what} has a wrong signature`, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TrustError(`${what} cannot be read: ${reason}`, { cause });
  }
}
