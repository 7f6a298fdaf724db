import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { readGrammar, sentences } from './fixture/grammar-sentences.ts';
import { format } from './format.ts';
import { parse } from './parse.ts';

const page = await Bun.file(new URL('grammar.md', import.meta.url)).text();
const grammar = readGrammar(/```ebnf\n(.*?)```/s.exec(page)?.[1] ?? '');

/** What a document says, without where it says it. */
const meaning = (source: string) =>
  parse(source).document.lines.map(({ statement, comment }) => [
    JSON.stringify(statement, (key, value) => (['column', 'length', 'line'].includes(key) ? undefined : value)),
    comment,
  ]);
const withoutBlankEnd = (lines: unknown[][]) => lines.slice(0, lines.findLastIndex(([a, b]) => a ?? b) + 1);

test('the comments of a block stand under each other', () =>
  expect(format('role a # one\nrole bcd# two\nrole e includes a\n')).toBe(
    'role a    # one\nrole bcd  # two\nrole e includes a\n',
  ));

test('the parts of neighbouring lines of one kind stand under each other', () =>
  expect(
    format(
      [
        '# networks',
        'network internal=172.19.0.0/16   via n1 dev br-internal,n2 dev eth1   nat',
        'network a = 172.17.0.0/16 via n1 dev docker0 no-nat#why',
        '',
        '',
        'service gitlab = 172.19.0.10 tcp/443,tcp/22 name gitlab.corp.internal front https',
        'service v = 172.19.0.11 tcp/8080 name v.corp.internal front https',
        'allow a->gitlab',
        '   # indented',
        'allow everyone -> v',
      ].join('\r\n'),
    ),
  ).toBe(
    [
      '# networks',
      'network internal = 172.19.0.0/16 via n1 dev br-internal, n2 dev eth1',
      'network a        = 172.17.0.0/16 via n1 dev docker0 no-nat  #why',
      '',
      '',
      'service gitlab = 172.19.0.10 tcp/443, tcp/22 name gitlab.corp.internal front https',
      'service v      = 172.19.0.11 tcp/8080        name v.corp.internal      front https',
      'allow a -> gitlab',
      '# indented',
      'allow everyone -> v',
      '',
    ].join('\n'),
  ));

describe('whatever the document', () => {
  const documents = sentences(grammar, 'document');
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc
      .array(
        fc.oneof(
          documents,
          fc.string({ maxLength: 30 }),
          fc.constantFrom(
            'role a\r \r',
            '\uFEFF\uFEFFrole b',
            'role   c\u00a0',
            `role d #${'x'.repeat(990)}`,
            `allow a->b${',c'.repeat(494)}`,
            `allow a -> b # ${'y'.repeat(980)}`,
            `role e${' '.repeat(1000)}`,
          ),
        ),
        { maxLength: 6 },
      )
      .map((lines) => lines.join('\n')),
  );

  test('formatting keeps what it says, its comments and the order of its lines', () =>
    fc.assert(
      fc.property(documents, (source) =>
        expect(withoutBlankEnd(meaning(format(source)))).toEqual(withoutBlankEnd(meaning(source))),
      ),
      { numRuns: 300 },
    ));

  test('formatting what was formatted changes nothing', () =>
    fc.assert(
      fc.property(anyText, (source) => expect(format(format(source))).toBe(format(source))),
      { numRuns: 2000 },
    ));

  test('formatting makes no line unreadable, and repairs none', () =>
    fc.assert(
      fc.property(anyText, (source) =>
        expect(parse(format(source)).diagnostics.map(({ code }) => code)).toEqual(
          parse(source).diagnostics.map(({ code }) => code),
        ),
      ),
      { numRuns: 2000 },
    ));
});
