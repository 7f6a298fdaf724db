import fc from 'fast-check';

/** Reads the EBNF of `grammar.md` and makes sentences from it. For tests. */

export type Expression =
  | { readonly kind: 'choice' | 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'optional' | 'repeated'; readonly part: Expression }
  | { readonly kind: 'literal' | 'rule' | 'special'; readonly text: string };

export type Grammar = ReadonlyMap<string, Expression>;

/** The rules of an ISO 14977 grammar, as much of the notation as ours uses. */
export function readGrammar(text: string): Grammar {
  const tokens = text.match(/"[^"]*"|\?[^?]*\?|[a-z][a-z-]*|[=,;|[\]{}()]/g) ?? [];
  let at = 0;
  const take = (wanted: string) => {
    if (tokens[at] !== wanted) throw new Error(`expected ${wanted}, found ${tokens[at]} (token ${at})`);
    at += 1;
  };
  const list = (kind: 'choice' | 'sequence', separator: string, item: () => Expression): Expression => {
    const parts = [item()];
    while (tokens[at] === separator) {
      at += 1;
      parts.push(item());
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind, parts };
  };
  const choice = (): Expression => list('choice', '|', () => list('sequence', ',', term));
  const enclosed = (close: string): Expression => {
    at += 1;
    const part = choice();
    take(close);
    return part;
  };
  const term = (): Expression => {
    const token = tokens[at] ?? '';
    if (token === '[') return { kind: 'optional', part: enclosed(']') };
    if (token === '{') return { kind: 'repeated', part: enclosed('}') };
    if (token === '(') return enclosed(')');
    at += 1;
    if (token.startsWith('"')) return { kind: 'literal', text: token.slice(1, -1) };
    return token.startsWith('?') ? { kind: 'special', text: token.slice(1, -1).trim() } : { kind: 'rule', text: token };
  };
  const rules = new Map<string, Expression>();
  while (at < tokens.length) {
    const name = tokens[at] ?? '';
    at += 1;
    take('=');
    rules.set(name, choice());
    take(';');
  }
  return rules;
}

const lowerDigit = 'abcdefghijklmnopqrstuvwxyz0123456789';
const join = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((all) => all.join(''));
const word = (letters: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...letters), minLength, maxLength });
const octet = fc.integer({ min: 0, max: 255 }).map(String);
const firstOctet = fc
  .integer({ min: 1, max: 223 })
  .filter((part) => part !== 127 && part !== 169)
  .map(String);
const dotted = fc.tuple(firstOctet, octet, octet, octet).map((parts) => parts.join('.'));

const name = join(word('bcdfghjk', 1, 1), word(`${lowerDigit}-`, 0, 8), word('0123456789', 1, 1));
const email = join(
  word(lowerDigit, 1, 6),
  fc.constantFrom('', '.x', '+y', '_z'),
  fc.constantFrom('@a.example', '@x-1.b.c'),
);
const port = fc.integer({ min: 1, max: 65_535 });

/** How the words that the grammar only describes are made, each under the first words of its description. */
const described: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  [
    'tcp or udp',
    fc
      .tuple(fc.constantFrom('tcp', 'udp'), port, port)
      .map(([protocol, a, b]) => (a >= b ? `${protocol}/${a}` : `${protocol}/${a}-${b}`)),
  ],
  [
    'a day as',
    fc
      .tuple(
        fc.date({ min: new Date('2000-01-01'), max: new Date('2199-12-31'), noInvalidDate: true }),
        fc.constantFrom(10, 16, 19),
      )
      .map(([date, length]) => `${date.toISOString().slice(0, length)}${length === 10 ? '' : 'Z'}`),
  ],
  [
    'an IPv4 subnet',
    fc
      .tuple(
        fc.integer({ min: 1, max: 223 }).filter((part) => part !== 127 && part !== 169),
        octet,
        octet,
        fc.integer({ min: 8, max: 24 }),
      )
      .map(([a, b, c, prefix]) => {
        const base = ((a * 256 + Number(b)) * 256 + Number(c)) * 256;
        const first = base - (base % 2 ** (32 - prefix));
        return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${prefix}`;
      }),
  ],
  ['an IPv4 address', dotted],
  ['1 to 15 of', join(word(lowerDigit, 1, 7), word('-_.', 0, 1), word(lowerDigit, 1, 6))],
  ['a name', name],
  ['role:', name.map((role) => `role:${role}`)],
  ['an e-mail', email],
  [
    'device:',
    fc
      .tuple(email, fc.constantFrom('laptop', 'x(2)', "a'b", '"Ana\'s Mac, #2"', '"Олин ноутбук"'))
      .map(([user, device]) => `device:${user}/${device.replaceAll(/[,#]/g, '')}`),
  ],
  ['a lower-case DNS', join(word(lowerDigit, 1, 5), fc.constantFrom('.corp.internal', '.x'))],
  [
    '# and anything',
    fc
      .string({ unit: fc.constantFrom('#', '"', ' ', ',', '-', '>', 'é', '北', 'a', '\t'), maxLength: 12 })
      .map((text) => `#${text}`),
  ],
  ['the end of a line', fc.constantFrom('\n', '\r\n')],
];

export function specialOf(text: string): fc.Arbitrary<string> {
  const found = described.find(([beginning]) => text.startsWith(beginning));
  if (found === undefined) throw new Error(`the grammar describes a word that no test can make: ${text}`);
  return found[1];
}

/** Sentences of a rule: words with one blank between them, punctuation now and then without. */
export function sentences(grammar: Grammar, rule: string): fc.Arbitrary<string> {
  const made = new Map<string, fc.Arbitrary<string>>();
  const of = (expression: Expression): fc.Arbitrary<string> => {
    switch (expression.kind) {
      case 'literal':
        if (/^(?:,|=|->)$/.test(expression.text))
          return fc.constantFrom(expression.text, ` ${expression.text} `, `\t${expression.text}`);
        return fc.constant(` ${expression.text} `);
      case 'special':
        return specialOf(expression.text).map((text) => (/^[\r\n]/.test(text) ? text : ` ${text} `));
      case 'optional':
        return fc.option(of(expression.part), { nil: '' });
      case 'repeated':
        return fc.array(of(expression.part), { maxLength: 3 }).map((parts) => parts.join(''));
      case 'sequence':
        return fc.tuple(...expression.parts.map(of)).map((parts) => parts.join(''));
      case 'choice':
        return fc.oneof(...expression.parts.map(of));
      case 'rule':
        return ruleOf(expression.text);
    }
  };
  const ruleOf = (name: string): fc.Arbitrary<string> => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const expression = grammar.get(name);
    if (expression === undefined) throw new Error(`the grammar has no rule ${name}`);
    const arbitrary = of(expression);
    made.set(name, arbitrary);
    return arbitrary;
  };
  return ruleOf(rule);
}
