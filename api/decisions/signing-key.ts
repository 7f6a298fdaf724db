import type { SigningKey } from '#contract/key.ts';

/**
 * Ed25519 points of small order, sign bit cleared: under such a key anybody can make signatures.
 * Encodings that are not canonical (y ≥ p) are refused as well.
 */
const smallOrder = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);
/** The 19 encodings of numbers from p = 2^255 - 19 on, which are not canonical. */
const notBelowPrime = /^(?:e[d-f]|f[0-9a-f])(?:ff){30}7f$/;

export function isUsableSigningKey(key: SigningKey): boolean {
  const bytes = Buffer.from(key, 'base64url');
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  const littleEndian = bytes.toString('hex');
  return !notBelowPrime.test(littleEndian) && !smallOrder.has(littleEndian);
}
