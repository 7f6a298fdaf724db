const firstPauseMilliseconds = 5_000;
const longestPauseMilliseconds = 3_600_000;

/** After this long an event is given up: who did not hear of it for a day reads the audit log. */
export const longestWaitMilliseconds = 86_400_000;

/**
 * How long to leave a receiver alone after so many failures in a row: 5 s, 10 s, 20 s … an hour, each a fifth longer or
 * shorter by `dice` (0 to 1), so that receivers that failed together are not asked together. A receiver that names a time
 * itself is asked no sooner, within an hour.
 */
export function pauseAfterFailure(failures: number, dice: number, retryAfterSeconds = 0): number {
  const pause = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** Math.max(0, failures - 1));
  const asked = Math.min(longestPauseMilliseconds, retryAfterSeconds * 1000);
  return Math.round(Math.max(pause * (0.8 + 0.4 * dice), asked));
}
