import { expect, test } from 'bun:test';
import { driftToNote } from './drift.ts';

const now = new Date('2026-12-01T08:00:00.000Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString();
const rows = (count: number, seconds: number, line: string) =>
  Array.from({ length: count }, () => ({ at: ago(seconds), detail: { line } }));
const many = Array.from({ length: 100 }, (_, index) => `line ${index}`);

test.each([
  ['nothing', [], [], []],
  ['a line', ['a'], [], [{ line: 'a' }]],
  ['a line that a report has twice', ['a', 'a'], [], [{ line: 'a' }]],
  ['a line of less than a minute ago', ['a', 'b'], rows(1, 59, 'a'), [{ line: 'b' }]],
  ['a line of a minute ago', ['a'], rows(1, 60, 'a'), [{ line: 'a' }]],
  ['more than an hour holds', ['a', 'b', 'c'], rows(118, 600, 'x'), [{ line: 'a' }, { line: 'b', more: 1 }]],
  ['what fits to the last', ['a', 'b'], rows(118, 600, 'x'), [{ line: 'a' }, { line: 'b' }]],
  ['anything more in a full hour', ['a'], rows(120, 600, 'x'), []],
])('%s', (_, lines, written, notes) => expect(driftToNote(lines, written, now)).toEqual(notes));

test('a hundred lines in every report are 120 rows', () => {
  const written: { at: string; detail: Record<string, unknown> }[] = [];
  for (let report = 0; report < 50; report++) {
    const notes = driftToNote(
      many.map((line) => `${report} ${line}`),
      written,
      now,
    );
    written.push(...notes.map((detail) => ({ at: ago(0), detail })));
  }
  expect(written.length).toBe(120);
  expect(written.at(-1)?.detail).toMatchObject({ more: 80 });
});
