import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync } from 'node:crypto';
import * as v from 'valibot';
import { PublicKey, SigningKey } from './key.ts';

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
const point = (start: string, fill: string, end: string) => base64(start + fill.repeat(30) + end);

describe('PublicKey', () => {
  test('takes every key that is really made', () => {
    for (let i = 0; i < 50; i++) {
      const { x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
      expect(v.safeParse(PublicKey, Buffer.from(x ?? '', 'base64url').toString('base64')).success).toBe(true);
    }
  });

  test.each([
    ['all-zero', point('00', '00', '00')],
    ['one', point('01', '00', '00')],
    ['one with the ignored top bit set', point('01', '00', '80')],
    ['p - 1', point('ec', 'ff', '7f')],
    ['p', point('ed', 'ff', '7f')],
    ['p + 1', point('ee', 'ff', '7f')],
    ['order 8', base64('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800')],
    ['31 bytes', Buffer.alloc(31, 7).toString('base64')],
    ['33 bytes', Buffer.alloc(33, 7).toString('base64')],
    ['non-canonical last character', `${'A'.repeat(42)}B=`],
    ['hex', 'ab'.repeat(22)],
    ['what is no base64 at all', '$(id)'],
    ['a trailing newline', `${Buffer.alloc(32, 7).toString('base64')}\n`],
  ])('refuses %s', (_, key) => expect(v.safeParse(PublicKey, key).success).toBe(false));
});

test('SigningKey takes the x of a real Ed25519 key and refuses base64', () => {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  expect(v.safeParse(SigningKey, x).success).toBe(true);
  expect(v.safeParse(SigningKey, Buffer.alloc(32, 255).toString('base64')).success).toBe(false);
});
