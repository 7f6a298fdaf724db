/**
 * Comparisons that may tell by their time how much of a secret was right. Secrets, and hashes of secrets, are compared by
 * timingSafeEqual or looked up by their hash; what is named like one and compared otherwise is found here.
 */

/** The last word of what is compared: `row.hash`, `tokenHash`, `hash`. */
const secretly =
  /(?:^|[.?]|[a-z](?=[A-Z]))(?:secret|token|passphrase|password|hash|digest|hmac|signature|privateKey|presharedKey)$/i;
const operand = String.raw`[A-Za-z_$][\w$.?\[\]]*(?:\([^()]*\))?`;
const comparison = new RegExp(
  String.raw`(${operand})\s*[!=]==?\s*(${operand})|\b(${operand})\.(?:equals|compare|localeCompare|startsWith|endsWith)\((${operand})\)`,
  'g',
);
/** What a secret may be compared with: these tell nothing of it. */
const known = /^(?:undefined|null|true|false)$/;

export type Comparison = { path: string; line: number; text: string };

/** The comparisons of a source text that are not safe, one a line. */
export function secretComparisons(path: string, source: string): Comparison[] {
  return source.split('\n').flatMap((text, index) => {
    const code = text.replace(/\/\/.*|^\s*\*.*/, '').replace(/'[^']*'|"[^"]*"/g, '0');
    const found = [...code.matchAll(comparison)].some(([, a = '', b = '', c = a, d = b]) => {
      const sides = [c, d].map((side) => side.replace(/\([^()]*\)$/, ''));
      return !sides.some((side) => known.test(side)) && sides.some((side) => secretly.test(side));
    });
    return found ? [{ path, line: index + 1, text: text.trim() }] : [];
  });
}
