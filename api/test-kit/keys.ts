import { generateKeyPairSync } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { signedTypes } from '#contract/trust.ts';

/** A WireGuard public key of nobody's. */
export function wireguardKey(): string {
  const { x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url').toString('base64');
}

/** A key pair that an agent or a device signs its own requests with. */
export type Credential = { x: string; sign: CryptoKey };

export async function credential(): Promise<Credential> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const { x = '' } = await exportJWK(privateKey);
  return { x, sign: privateKey };
}

export function assertion(
  kind: 'agent' | 'device',
  sender: string,
  { sign }: Credential,
  now: Date,
  change: { jti?: string; audience?: string; typ?: string; seconds?: number } = {},
): Promise<string> {
  const typ = change.typ ?? (kind === 'agent' ? signedTypes.agentAssertion : signedTypes.deviceAssertion);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', typ })
    .setIssuer(sender)
    .setAudience(change.audience ?? 'postern-master')
    .setIssuedAt(now)
    .setExpirationTime(Math.floor(now.getTime() / 1000) + (change.seconds ?? 60))
    .setJti(change.jti ?? crypto.randomUUID())
    .sign(sign);
}
