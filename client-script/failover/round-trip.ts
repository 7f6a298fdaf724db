/** No single sample counts as more than this, or than what would have been lost. */
const leastCeilingMs = 150;

/**
 * A smoothed round trip. Milliseconds. It grows as RFC 6298 has it, and shrinks faster: a handshake or a busy moment made
 * the samples too long, and nothing makes them too short.
 */
export function smooth(before: number | undefined, sampleMs: number): number {
  if (before === undefined) return sampleMs;
  if (sampleMs < before) return (before + sampleMs) / 2;
  return before + (Math.min(sampleMs, answerLimit(before, leastCeilingMs)) - before) / 8;
}

/** What is not answered within four round trips, and within this at the least, is lost. */
export function answerLimit(roundTripMs: number | undefined, leastMs: number): number {
  return Math.max(leastMs, 4 * (roundTripMs ?? 0));
}
