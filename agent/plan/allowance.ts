/** How many answers each asker still has. A bucket that fills with time. */
export type Allowance = { tokens: number; at: number };

/**
 * Takes one from a bucket of `burst` that gains `perSecond`. `now` is in milliseconds and monotonic.
 *
 * @returns the bucket afterwards, or undefined when it is empty: do not answer.
 */
export function takeOne(
  before: Allowance | undefined,
  now: number,
  limit: { burst: number; perSecond: number },
): Allowance | undefined {
  const gained = before === undefined ? limit.burst : ((now - before.at) / 1000) * limit.perSecond;
  const tokens = Math.min(limit.burst, (before?.tokens ?? 0) + gained);
  return tokens < 1 ? undefined : { tokens: tokens - 1, at: now };
}
