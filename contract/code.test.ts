import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { codeFromBytes, formatCode, PreAuthCode } from './code.ts';

const random = () => codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
const accepts = (code: string) => v.safeParse(PreAuthCode, code).success;

describe('a code', () => {
  test('is five groups of five', () => expect(random()).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$/));

  test('carries all 120 bits', () => {
    expect(codeFromBytes(new Uint8Array(15))).toStartWith('00000-00000-00000-00000-0000');
    expect(codeFromBytes(new Uint8Array(15).fill(255))).toStartWith('ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZ');
    expect(() => codeFromBytes(new Uint8Array(14))).toThrow(RangeError);
  });

  test('forgives case, hyphens, spaces and look-alikes', () => {
    const code = codeFromBytes(new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]));
    const bare = v.parse(PreAuthCode, code);
    const typed = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
    expect(v.parse(PreAuthCode, typed)).toBe(bare);
    expect(formatCode(bare)).toBe(code);
  });

  test('notices every single wrong character', () => {
    const code = random().replaceAll('-', '');
    for (let place = 0; place < code.length; place++)
      for (const wrong of '0123456789ABCDEFGHJKMNPQRSTVWXYZ')
        if (wrong !== code[place]) expect(accepts(code.slice(0, place) + wrong + code.slice(place + 1))).toBe(false);
  });

  test.each([
    ['empty', ''],
    ['short', '7QK2M'],
    ['with a U', 'U'.repeat(25)],
    ['10 KB', '0'.repeat(10_240)],
  ])('refuses one that is %s', (_, code) => expect(accepts(code)).toBe(false));
});
