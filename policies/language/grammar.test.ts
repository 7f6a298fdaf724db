import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { renderDiagnostics } from '#contract/diagnostic.ts';
import { checkSource } from './check.ts';
import { type Expression, readGrammar, sentences, specialOf } from './fixture/grammar-sentences.ts';
import { parse } from './parse.ts';
import { reservedWords } from './words.ts';

const page = await Bun.file(new URL('grammar.md', import.meta.url)).text();
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((found) => found[1] ?? '');
const grammar = readGrammar(blocks('ebnf').join('\n'));

const partsOf = (expression: Expression): Expression[] =>
  'parts' in expression
    ? expression.parts.flatMap((part) => [part, ...partsOf(part)])
    : 'part' in expression
      ? [expression.part, ...partsOf(expression.part)]
      : [];
const everyPart = [...grammar.values()].flatMap((expression) => [expression, ...partsOf(expression)]);

describe('the grammar', () => {
  test('every rule it names exists, and every rule but the first is used', () => {
    const used = new Set(
      everyPart.filter((part) => part.kind === 'rule').map((part) => ('text' in part ? part.text : '')),
    );
    expect([...used].filter((name) => !grammar.has(name))).toEqual([]);
    expect([...grammar.keys()].filter((name) => !used.has(name))).toEqual(['document']);
  });

  test('every word it describes can be made', () => {
    for (const part of everyPart) if (part.kind === 'special') expect(() => specialOf(part.text)).not.toThrow();
  });

  test('every word it spells out is a word of the language', () => {
    const words = everyPart.flatMap((part) => (part.kind === 'literal' && /^[a-z]/.test(part.text) ? [part.text] : []));
    expect(words.filter((word) => !reservedWords.has(word))).toEqual([]);
    expect(words.length).toBeGreaterThan(20);
  });
});

describe('what the grammar makes, the parser reads', () => {
  test.each(['role', 'network', 'service', 'allow', 'vpn-only', 'test'])('%s', (rule) => {
    fc.assert(
      fc.property(sentences(grammar, rule), (sentence) => {
        const { document, diagnostics } = parse(sentence);
        expect(diagnostics).toEqual([]);
        expect(document.lines.map(({ statement }) => statement?.kind as string)).toEqual([rule]);
      }),
      { numRuns: 400 },
    );
  });

  test('whole documents, with blank lines and comments', () => {
    fc.assert(
      fc.property(sentences(grammar, 'document'), (document) => expect(parse(document).diagnostics).toEqual([])),
      { numRuns: 200 },
    );
  });

  /** A parser that takes anything would pass the tests above. */
  test('a sentence with a word too few or too many is refused', () => {
    let refused = 0;
    fc.assert(
      fc.property(sentences(grammar, 'statement'), fc.nat(), fc.boolean(), (sentence, at, drop) => {
        fc.pre(!sentence.includes('"'));
        const words = sentence.trim().split(/[ \t]+/);
        const place = at % words.length;
        const changed = drop ? words.toSpliced(place, 1) : words.toSpliced(place, 0, 'via');
        if (parse(changed.join(' ')).diagnostics.length > 0) refused += 1;
        else expect(drop && !changed.includes('via,')).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(700);
  });
});

describe('the page', () => {
  test('every example on it is right', () => {
    const examples = blocks('policy');
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      const checked = checkSource(example);
      expect(checked.ok ? '' : renderDiagnostics(example, checked.diagnostics)).toBe('');
    }
  });

  test('it lists exactly the reserved words', () => {
    const paragraph = page.split('\n').find((line) => line.startsWith('Words of the language')) ?? '';
    const listed = [...paragraph.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? '');
    expect(new Set(listed)).toEqual(new Set(reservedWords));
  });
});
