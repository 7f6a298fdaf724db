import { expect, test } from 'bun:test';
import { newChecks } from './steady.ts';

const rows: [string, string, string][] = [
  ['the first answer decides', '+', '+'],
  ['for the worse as well', '-', '-'],
  ['one miss is none', '+-+-+-+', '+++++++'],
  ['two are one', '+--', '++-'],
  ['and two hits make it well', '--+++', '---++'],
  ['a hit between begins anew', '---+-+-++', '--------+'],
];

test.each(rows)('%s', (_, answers, expected) => {
  const checks = newChecks();
  const seen = [...answers].map((answer) => {
    checks.note('one', answer === '+');
    return checks.isWell('one') ? '+' : '-';
  });
  expect(seen.join('')).toBe(expected);
});

test('what is not asked after any more is forgotten', () => {
  const checks = newChecks();
  checks.note('one', true);
  checks.keepOnly(['two']);
  expect(checks.isWell('one')).toBeUndefined();
});
