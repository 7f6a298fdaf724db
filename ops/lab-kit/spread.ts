import * as v from 'valibot';

const Milliseconds = v.pipe(v.number(), v.minValue(0));

/** Of `n` times: the middle one, the one that 95 of 100 do not exceed, and the longest, in ms. */
export const Spread = v.strictObject({
  n: v.number(),
  p50_ms: Milliseconds,
  p95_ms: Milliseconds,
  max_ms: Milliseconds,
});
export type Spread = v.InferOutput<typeof Spread>;

export function spreadOf(times: readonly number[]): Spread {
  return { n: times.length, p50_ms: quantile(times, 0.5), p95_ms: quantile(times, 0.95), max_ms: quantile(times, 1) };
}

/** The smallest of the times that so large a part of them does not exceed (nearest rank). */
export function quantile(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('a quantile of nothing');
  return Math.round(found * 10) / 10;
}
