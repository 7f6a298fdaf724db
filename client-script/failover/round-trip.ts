/** A smoothed round trip, as RFC 6298 makes it of samples. Milliseconds. */
export function smooth(before: number | undefined, sampleMs: number): number {
  return before === undefined ? sampleMs : before + (sampleMs - before) / 8;
}

/** What is not answered within four round trips, and within this at the least, is lost. */
export function answerLimit(roundTripMs: number | undefined, leastMs: number): number {
  return Math.max(leastMs, 4 * (roundTripMs ?? 0));
}
