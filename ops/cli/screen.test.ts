import { describe, expect, test } from 'bun:test';
import { ago, ahead, bytes, inert, renderTable, type Screen, showDetails, showList } from './screen.ts';

const columns = [
  { title: 'NAME', of: (row: { name: string; size: number }) => row.name },
  { title: 'SIZE', of: (row: { name: string; size: number }) => String(row.size) },
];

function screenOf(json: boolean): { screen: Screen; text: () => string } {
  const written: string[] = [];
  return {
    screen: { json, isColoured: false, write: (text) => void written.push(text) },
    text: () => written.join('\n'),
  };
}

describe('a table', () => {
  test('lines up, whatever the width of the script', () =>
    expect(
      renderTable(
        [
          { name: 'büro', size: 7 },
          { name: '東京', size: 12 },
        ],
        columns,
      ),
    ).toBe('NAME  SIZE\nbüro  7\n東京  12'));

  test('says what to do when it would be empty, but not to a script', () => {
    const person = screenOf(false);
    showList(person.screen, [], columns, 'Add one.');
    expect(person.text()).toBe('Add one.');
    const script = screenOf(true);
    showList(script.screen, [], columns, 'Add one.');
    expect(JSON.parse(script.text())).toEqual([]);
  });

  test('of one thing stands upright', () => {
    const { screen, text } = screenOf(false);
    showDetails(screen, { name: 'a', size: 1 }, columns);
    expect(text()).toBe('NAME  a\nSIZE  1');
  });
});

const now = new Date('2026-01-01T12:00:00Z');
test.each([
  [null, 'never'],
  ['2026-01-01T11:59:57Z', '3 s ago'],
  ['2026-01-01T12:00:09Z', '0 s ago'],
  ['2026-01-01T11:50:00Z', '10 min ago'],
  ['2026-01-01T02:00:00Z', '10 h ago'],
  ['2025-12-20T12:00:00Z', '12 days ago'],
])('%s was %s', (moment, text) => expect(ago(moment, now)).toBe(text));

test.each([
  ['2026-01-01T12:00:30Z', 'in 30 s'],
  ['2026-01-01T11:00:00Z', 'in 0 s'],
  ['2026-01-04T12:00:00Z', 'in 3 days'],
])('%s comes %s', (moment, text) => expect(ahead(moment, now)).toBe(text));

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [5 * 1024 ** 3, '5.0 GiB'],
])('%d bytes are %s', (count, text) => expect(bytes(count)).toBe(text));

test.each([
  ['plain büro', 'plain büro'],
  ['a\x1b[2Jb\u202ec\nd', 'a\\u{1b}[2Jb\\u{202e}c\\u{a}d'],
])('%j is shown as %j', (text, shown) => expect(inert(text)).toBe(shown));
