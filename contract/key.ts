import * as v from 'valibot';

/**
 * X25519 points of small order (RFC 7748 §7): a handshake with one yields a secret that anybody can compute.
 * Little-endian, top bit cleared as X25519 does. `wg set` accepts them, so we refuse them at the edge.
 */
const lowOrderPoints = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

const publicKeyPattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** A WireGuard public key: 32 bytes in canonical base64 (44 characters), never a point of low order. */
export const PublicKey = v.pipe(
  v.string(),
  v.regex(publicKeyPattern, 'must be a WireGuard public key: 44 characters of base64'),
  v.check(isNotLowOrder, 'is an all-zero or low-order key, which would encrypt nothing'),
  v.examples(['xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=']),
);
export type PublicKey = v.InferOutput<typeof PublicKey>;

/** The public half of an Ed25519 key: 32 bytes in base64url, the `x` of its JWK (RFC 8037). */
export const SigningKey = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, 'must be an Ed25519 public key: 43 characters of base64url'),
  v.examples(['11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo']),
);
export type SigningKey = v.InferOutput<typeof SigningKey>;

/** SHA-256 in base64url without padding: RFC 7638 key thumbprints and SPKI hashes. */
export const Thumbprint = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 thumbprint: 43 characters of base64url'),
);
export type Thumbprint = v.InferOutput<typeof Thumbprint>;

function isNotLowOrder(key: string): boolean {
  // A pipe runs every check; what is no key at all has been refused before this one.
  if (!publicKeyPattern.test(key)) return true;
  const bytes = Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
  const top = bytes[31] ?? 0;
  bytes[31] = top & 0x7f;
  return !lowOrderPoints.has([...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
}
