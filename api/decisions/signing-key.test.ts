import { describe, expect, test } from 'bun:test';
import { credential } from '../test-kit/keys.ts';
import { isUsableSigningKey } from './signing-key.ts';

const key = (start: string, fill: string, end: string) =>
  Buffer.from(start + fill.repeat(30) + end, 'hex').toString('base64url');
const whole = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');

describe('a signing key', () => {
  test('that is really made can be used', async () => {
    for (let i = 0; i < 20; i++) expect(isUsableSigningKey((await credential()).x)).toBe(true);
  });

  test.each([
    ['all zero', key('00', '00', '00')],
    ['all zero with a sign', key('00', '00', '80')],
    ['the neutral point', key('01', '00', '00')],
    ['of order 2', key('ec', 'ff', '7f')],
    ['of order 8', whole('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')],
    ['of order 8, the other', whole('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')],
    ['of order 8 with a sign', whole('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85')],
    ['not canonical', key('ed', 'ff', '7f')],
    ['not canonical, all ones', key('ff', 'ff', 'ff')],
  ])('that is %s cannot', (_, x) => expect(isUsableSigningKey(x)).toBe(false));
});
