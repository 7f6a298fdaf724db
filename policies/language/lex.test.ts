import { describe, expect, test } from 'bun:test';
import { lexLine, splitLines } from './lex.ts';

const texts = (line: string) => lexLine(line, 1).tokens.map(({ text }) => text);

describe('tokens', () => {
  test.each([
    ['allow a->b,c tcp/80', ['allow', 'a', '->', 'b', ',', 'c', 'tcp/80']],
    ['network x=10.0.0.0/8 via n1', ['network', 'x', '=', '10.0.0.0/8', 'via', 'n1']],
    ['vpn-only no-nat a-b', ['vpn-only', 'no-nat', 'a-b']],
    ['allow device:a@b/"x, y -> #1" -> z', ['allow', 'device:a@b/"x, y -> #1"', '->', 'z']],
    ['role a#comment', ['role', 'a']],
    ['\t role\ta ', ['role', 'a']],
    ['   ', []],
  ])('%p', (line, tokens) => expect(texts(line)).toEqual(tokens));

  test('a token knows where it stands, from 1', () =>
    expect(lexLine('  role a', 7).tokens.map(({ line, column, length }) => [line, column, length])).toEqual([
      [7, 3, 4],
      [7, 8, 1],
    ]));

  test('a comment is kept with its #, without blanks at its end', () =>
    expect(lexLine('role a   #  why  ', 1).comment).toBe('#  why'));

  test('line ends of Windows and a byte order mark mean nothing', () =>
    expect(splitLines('\uFEFFrole a\r\nrole b\n')).toEqual(['role a', 'role b', '']));
});

describe('what cannot stand in a line', () => {
  test.each([
    ['a NUL', 'role a\0', 'wrong-character', 7],
    ['a carriage return inside', 'role a\rrole b', 'wrong-character', 7],
    ['a letter that looks like another', 'role аdmin', 'wrong-character', 6],
    ['a right-to-left mark in a comment', 'role a # \u202Enimda', 'hidden-character', 10],
    ['a zero-width space in quotes', 'allow device:a@b.c/"x\u200By" -> z', 'hidden-character', 22],
    ['a terminal escape in a comment', 'role a # \u001b[2J', 'hidden-character', 10],
    ['a quote that is never closed', 'allow device:a@b.c/"x -> z', 'unclosed-quote', 20],
    ['10 KB on one line', `role ${'a'.repeat(10_000)}`, 'line-too-long', 1001],
  ])('%s', (_, line, code, column) => {
    const [found] = lexLine(line, 1).diagnostics;
    expect(found).toMatchObject({ code, column, severity: 'error' });
  });

  test('letters of any script in comments and quotes are fine', () =>
    expect(lexLine('allow device:a@b.c/"Олин ноутбук" -> z # für Ólafur 北京', 1).diagnostics).toEqual([]));
});
