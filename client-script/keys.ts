import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import * as v from 'valibot';
import type { PublicKey } from '#contract/key.ts';
import { SigningKey } from '#contract/key.ts';

/** A WireGuard key pair, both halves in base64 as `wg(8)` writes them. */
export type WireguardKey = { privateKey: string; publicKey: PublicKey };

/** The private JWK of the Ed25519 key with which the device signs its own requests. */
export const CredentialKey = v.object({
  kty: v.literal('OKP'),
  crv: v.literal('Ed25519'),
  x: SigningKey,
  d: SigningKey,
});
export type CredentialKey = v.InferOutput<typeof CredentialKey>;

/** PKCS #8 around 32 raw bytes of an X25519 private key (RFC 8410). */
const x25519Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** A new key. It is clamped here, since `wg` shows it clamped and a comparison would otherwise see drift for ever. */
export function makeWireguardKey(): WireguardKey {
  const { d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const bytes = Buffer.from(d, 'base64url');
  bytes[0] = (bytes[0] ?? 0) & 248;
  bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
  return { privateKey: bytes.toString('base64'), publicKey: wireguardPublicKey(bytes.toString('base64')) };
}

/**
 * The public half of a WireGuard private key.
 *
 * @throws TypeError when the text is not 32 bytes of base64.
 */
export function wireguardPublicKey(privateKey: string): PublicKey {
  const bytes = Buffer.from(privateKey, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== privateKey)
    throw new TypeError('a WireGuard private key is 32 bytes in base64');
  const key = createPrivateKey({ key: Buffer.concat([x25519Prefix, bytes]), format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('base64');
}

export function makeCredentialKey(): CredentialKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { kty: 'OKP', crv: 'Ed25519', x, d };
}
