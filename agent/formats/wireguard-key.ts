import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

/** The DER header of an X25519 private key (RFC 8410), before its 32 bytes. */
const pkcs8Header = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** A new private key in base64, clamped as wg(8) shows it; an unclamped one would look like drift for ever. */
export function generatePrivateKey(): string {
  const { d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const bytes = Buffer.from(d, 'base64url');
  bytes[0] = (bytes[0] ?? 0) & 248;
  bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
  return bytes.toString('base64');
}

/** @throws RangeError when it is not 32 bytes of base64. */
export function publicKeyOf(privateKey: string): string {
  const bytes = Buffer.from(privateKey, 'base64');
  if (bytes.length !== 32) throw new RangeError(`a WireGuard key has 32 bytes, this one ${bytes.length}`);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Header, bytes]), format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('base64');
}
