import { expect, test } from 'bun:test';
import { longestSilence } from './silence.ts';
import { quantile, spreadOf } from './spread.ts';

const everyTwenty = (from: number, to: number) => Array.from({ length: (to - from) / 20 + 1 }, (_, i) => from + i * 20);

test.each([
  { name: 'answers all the time', answered: everyTwenty(0, 1_000), longestMs: 20, startedAt: 0, open: false },
  {
    name: 'a hole in the middle',
    answered: [...everyTwenty(0, 400), ...everyTwenty(900, 1_000)],
    longestMs: 500,
    startedAt: 400,
    open: false,
  },
  { name: 'a hole that is not over', answered: everyTwenty(0, 700), longestMs: 300, startedAt: 700, open: true },
  { name: 'no answer at all', answered: [], longestMs: 1_000, startedAt: 0, open: true },
  { name: 'answers before and after alone', answered: [-5, 1_005], longestMs: 1_000, startedAt: 0, open: true },
])('the longest silence: $name', ({ answered, longestMs, startedAt, open }) => {
  expect(longestSilence(answered, [-1, 30, 60], { from: 0, to: 1_000 })).toMatchObject({
    longestMs,
    startedAt,
    open,
    failed: 2,
  });
});

test('of twenty times, the 95th percentile leaves out the longest', () => {
  const times = Array.from({ length: 20 }, (_, index) => 20 - index);
  expect(spreadOf(times)).toEqual({ n: 20, p50_ms: 10, p95_ms: 19, max_ms: 20 });
  expect(quantile([7], 0.99)).toBe(7);
  expect(() => quantile([], 0.5)).toThrow(RangeError);
});
