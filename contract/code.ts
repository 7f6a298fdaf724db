import * as v from 'valibot';

/** Crockford's base 32: no I, L, O or U, so that a code survives being read out loud. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const codeRandomLength = 24;

/**
 * A pre-auth code: 24 random characters (120 bits) and one check character.
 * Case, spaces, hyphens and look-alikes (O for 0, I or L for 1) are forgiven; the output is the bare 25 characters.
 */
export const PreAuthCode = v.pipe(
  v.string(),
  v.maxLength(64, 'is too long for a code'),
  v.transform(normaliseCode),
  v.regex(/^[0-9A-HJKMNP-TV-Z]{25}$/, 'must be a code of five groups of five characters'),
  v.check(hasValidCheckCharacter, 'has a typing error: its check character does not fit'),
);
export type PreAuthCode = v.InferOutput<typeof PreAuthCode>;

/**
 * The code made of 15 random bytes (120 bits), in five groups of five.
 *
 * @throws RangeError if there are not exactly 15 bytes.
 */
export function codeFromBytes(random: Uint8Array): string {
  if (random.length !== 15) throw new RangeError(`a code takes 15 random bytes, got ${random.length}`);
  let bits = 0n;
  for (const byte of random) bits = (bits << 8n) | BigInt(byte);
  const body = Array.from(
    { length: codeRandomLength },
    (_, index) => alphabet[Number((bits >> BigInt(5 * (codeRandomLength - 1 - index))) & 31n)],
  ).join('');
  return formatCode(body + checkCharacter(body));
}

/** Five groups of five, for people. */
export function formatCode(code: string): string {
  return normaliseCode(code).replace(/(.{5})(?=.)/g, '$1-');
}

export function normaliseCode(input: string): string {
  return input.replace(/[\s-]/g, '').toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1');
}

/** Luhn mod 32: finds every single wrong character and nearly every swap of neighbours. */
function checkCharacter(body: string): string {
  const sum = [...body].reverse().reduce((total, character, index) => {
    const value = alphabet.indexOf(character) * (index % 2 === 0 ? 2 : 1);
    return total + Math.floor(value / 32) + (value % 32);
  }, 0);
  return alphabet[(32 - (sum % 32)) % 32] ?? '0';
}

function hasValidCheckCharacter(code: string): boolean {
  return checkCharacter(code.slice(0, codeRandomLength)) === code[codeRandomLength];
}
