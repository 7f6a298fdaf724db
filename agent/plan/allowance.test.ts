import { expect, test } from 'bun:test';
import { type Allowance, takeOne } from './allowance.ts';

const limit = { burst: 3, perSecond: 2 };

test('a burst is answered, then as many as gather with time, and never more than the burst', () => {
  let bucket: Allowance | undefined;
  const ask = (now: number) => {
    const after = takeOne(bucket, now, limit);
    bucket = after ?? bucket;
    return after !== undefined;
  };
  expect([0, 0, 0, 0].map(ask)).toEqual([true, true, true, false]);
  expect([500, 500].map(ask)).toEqual([true, false]);
  expect([60_000, 60_000, 60_000, 60_000].map(ask)).toEqual([true, true, true, false]);
});

test('asking in vain does not put the next answer off', () => {
  let bucket = takeOne(undefined, 0, { burst: 1, perSecond: 1 });
  for (let now = 100; now < 1000; now += 100) expect(takeOne(bucket, now, { burst: 1, perSecond: 1 })).toBeUndefined();
  bucket = takeOne(bucket, 1000, { burst: 1, perSecond: 1 });
  expect(bucket).toBeDefined();
});
