import { expect, test } from 'bun:test';
import { inert, renderDiagnostics } from '#contract/diagnostic.ts';
import { checkSource } from './check.ts';
import { errorAt } from './diagnostic.ts';

const rendered = (source: string) => {
  const checked = checkSource(source);
  return renderDiagnostics(source, checked.ok ? checked.warnings : checked.diagnostics, 'company.policy');
};

test('a diagnostic shows the place, the line, a caret and what was meant', () =>
  expect(rendered('role developer\n\tallow devloper -> devices')).toBe(
    [
      'company.policy:2:8: error: there is no role devloper; a line `role devloper` would make one',
      ' 2 | \tallow devloper -> devices',
      '   | \t      ^^^^^^^^',
      '   = did you mean `developer`?',
      '',
    ].join('\n'),
  ));

test('a long line is shown around the caret', () => {
  const source = `role a\nallow ${'a, '.repeat(200)}b -> devices`;
  const checked = checkSource(source);
  const wrong = checked.ok ? [] : checked.diagnostics.filter(({ code }) => code === 'unknown-role');
  const [line = '', caret = ''] = renderDiagnostics(source, wrong).split('\n').slice(1);
  expect(line.length).toBeLessThan(140);
  expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('b');
});

test('nothing in a document moves the cursor of the terminal that shows it', () => {
  const text = rendered('role a\u001b[2J\u0000\nallow a -> b # \u202Ex\u2066y\nrole \u009b31m');
  expect(/[\p{C}\u2028\u2029]/u.test(text.replaceAll('\n', ''))).toBe(false);
  expect(inert('a\tb\u200b')).toBe('a\tb\uFFFD');
});

test('ten thousand diagnostics do not fill the terminal', () => {
  const all = Array.from({ length: 10_000 }, (_, i) => errorAt({ line: i + 1, column: 1, length: 1 }, 'x', 'no'));
  expect(renderDiagnostics('', all).endsWith('… and 9900 more\n')).toBe(true);
});
