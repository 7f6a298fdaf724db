import * as v from 'valibot';

/**
 * X25519 points of small order (RFC 7748 §7): a handshake with one yields a secret that anybody can compute.
 * Little-endian, top bit cleared as X25519 does. `wg set` accepts them, so we refuse them at the edge.
 */
const lowOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

/** As they are written, with the top bit cleared and set. */
const lowOrderKeys = new Set(lowOrderPoints.flatMap((point) => [0, 0x80].map((topBit) => keyText(point, topBit))));

const publicKeyPattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** A WireGuard public key: 32 bytes in canonical base64 (44 characters), never a point of low order. */
export const PublicKey = v.pipe(
  v.string(),
  v.regex(publicKeyPattern, 'must be a WireGuard public key: 44 characters of base64'),
  v.check((key) => !lowOrderKeys.has(key), 'is an all-zero or low-order key, which would encrypt nothing'),
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

function keyText(hex: string, topBit: number): string {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
  bytes[31] = (bytes[31] ?? 0) | topBit;
  return btoa(String.fromCharCode(...bytes));
}
