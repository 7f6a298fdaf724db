import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import * as v from 'valibot';
import { SigningKey, type Thumbprint } from '#contract/key.ts';
import { type KeyUse, signedTypes, TrustList, type WorkingKey } from '#contract/trust.ts';
import { ClientFailure } from './failure.ts';

const RootKey = v.object({ kty: v.literal('OKP'), crv: v.literal('Ed25519'), x: SigningKey });
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));

/**
 * The trust list, if the pinned root signed it.
 *
 * @throws ClientFailure untrusted
 */
export async function verifyTrustList(jws: string, root: Thumbprint): Promise<TrustList> {
  let header: unknown;
  try {
    header = decodeProtectedHeader(jws).jwk;
  } catch (cause) {
    throw untrusted('trust-unreadable', 'What the master gave as its trust list is not one', cause);
  }
  const key = v.safeParse(RootKey, header);
  if (!key.success) throw untrusted('trust-unreadable', "The master's trust list does not carry a root key");
  const thumbprint = await calculateJwkThumbprint(key.output, 'sha256');
  if (thumbprint !== root) {
    throw untrusted('wrong-root', `The master's root key is ${thumbprint}, and the join line pins ${root}`);
  }
  try {
    const { payload, protectedHeader } = await compactVerify(jws, await importJWK(key.output, 'EdDSA'), {
      algorithms: ['EdDSA'],
    });
    if (protectedHeader.typ !== signedTypes.trust) throw new TypeError(`typ is ${protectedHeader.typ}`);
    return v.parse(TrustList, decode(payload));
  } catch (cause) {
    throw untrusted('trust-unsigned', "The signature of the master's trust list is not valid", cause);
  }
}

/** When a signature is judged: a text that arrives now, or one that was accepted before and lies on our disk. */
export type Judged = { at: number } | 'accepted before';

/**
 * The content of a text signed with a working key of this use.
 *
 * @throws ClientFailure untrusted; with the code `key-unknown` a newer trust list may help.
 */
export async function verifySigned<T>(
  jws: string,
  { keys }: Pick<TrustList, 'keys'>,
  kind: { use: KeyUse; typ: string; schema: v.GenericSchema<unknown, T> },
  judged: Judged,
): Promise<T> {
  let kid: unknown;
  try {
    kid = decodeProtectedHeader(jws).kid;
  } catch (cause) {
    throw untrusted('signature-invalid', `What came as ${kind.use} is not a signed text`, cause);
  }
  const key = keys.find((candidate) => candidate.kid === kid && candidate.use === kind.use);
  if (key === undefined)
    throw untrusted('key-unknown', `It is signed with a key that the root does not list for ${kind.use}`);
  if (judged !== 'accepted before' && Date.parse(key.notAfter) <= judged.at) throw expired(key, judged.at);
  try {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: key.x };
    const { payload, protectedHeader } = await compactVerify(jws, await importJWK(jwk, 'EdDSA'), {
      algorithms: ['EdDSA'],
    });
    if (protectedHeader.typ !== kind.typ) throw new TypeError(`typ is ${protectedHeader.typ}, not ${kind.typ}`);
    return v.parse(kind.schema, decode(payload));
  } catch (cause) {
    throw untrusted('signature-invalid', `The signature is not valid for ${kind.use}`, cause);
  }
}

function expired(key: WorkingKey, at: number): ClientFailure {
  return new ClientFailure(
    'untrusted',
    'key-expired',
    `The key it is signed with ran out at ${key.notAfter}; this machine's clock says ${new Date(at).toISOString()}`,
    'If the clock is right, ask your admin to renew the keys of the master.',
  );
}

export function untrusted(code: string, message: string, cause?: unknown): ClientFailure {
  return new ClientFailure(
    'untrusted',
    code,
    message,
    'Nothing secret was sent and nothing was installed. Someone may stand between you and the master: try another network, and compare the join line with your admin.',
    cause,
  );
}
