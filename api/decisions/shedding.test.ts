import { expect, test } from 'bun:test';
import { type Connection, surplus } from './shedding.ts';

const of = (counts: Record<string, number>): Connection[] =>
  Object.entries(counts).flatMap(([group, count]) => Array.from({ length: count }, (_, age) => ({ group, age })));

const cases: [string, Record<string, number>, { perGroup: number; all: number }, Record<string, number>][] = [
  ['nobody has too many', { a: 3, b: 2 }, { perGroup: 3, all: 5 }, {}],
  ['one has', { a: 9, b: 2 }, { perGroup: 4, all: 100 }, { a: 5 }],
  ['all together have: the largest gives', { a: 9, b: 2, c: 1 }, { perGroup: 10, all: 8 }, { a: 4 }],
  ['all together have: the largest give', { a: 9, b: 8, c: 1 }, { perGroup: 10, all: 9 }, { a: 5, b: 4 }],
  ['each keeps one, whatever there is', { a: 1, b: 1, c: 2 }, { perGroup: 10, all: 2 }, { c: 1 }],
  ['there are none', {}, { perGroup: 1, all: 0 }, {}],
];

test.each(cases)('%s', (_, counts, limits, ended) => {
  const found = surplus(of(counts), limits);
  const byGroup = Object.fromEntries([...Map.groupBy(found, ({ group }) => group)].map(([k, v]) => [k, v.length]));
  expect(byGroup).toEqual(ended);
  for (const { group, age } of found) expect(age).toBeGreaterThanOrEqual((counts[group] ?? 0) - (ended[group] ?? 0));
});
