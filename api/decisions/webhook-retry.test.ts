import { describe, expect, test } from 'bun:test';
import { longestWaitMilliseconds, pauseAfterFailure } from './webhook-retry.ts';

describe('pauseAfterFailure', () => {
  test.each([
    ['the first', 1, 0.5, undefined, 5_000],
    ['the first, early', 1, 0, undefined, 4_000],
    ['the first, late', 1, 1, undefined, 6_000],
    ['the fourth', 4, 0.5, undefined, 40_000],
    ['the hundredth', 100, 0.5, undefined, 3_600_000],
    ['the thousandth', 5_000, 0.5, undefined, 3_600_000],
    ['one that asks for a minute', 1, 0.5, 60, 60_000],
    ['one that asks for less than the pause', 6, 0.5, 1, 160_000],
    ['one that asks for a year', 1, 0.5, 31_536_000, 3_600_000],
  ])('%s', (_, failures, dice, retryAfter, milliseconds) =>
    expect(pauseAfterFailure(failures, dice, retryAfter)).toBe(milliseconds),
  );

  test('leaves room for many attempts until an event is given up', () => {
    let waited = 0;
    let attempts = 0;
    while (waited < longestWaitMilliseconds) waited += pauseAfterFailure(++attempts, 0.5);
    expect(attempts).toBeGreaterThan(25);
  });
});
