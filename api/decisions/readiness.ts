import type { NotReadyReason } from '#contract/status.ts';

/** Clocks are set by a little now and then. */
const clockSlackMilliseconds = 60_000;

export type ReadinessFacts = {
  now: Date;
  /** The moments after which the keys that sign must not be used. */
  keysEnd: readonly string[];
  /** When the last change was made. */
  revisedAt: string;
};

/** Why the master cannot do its work; empty when it can. */
export function whyNotReady({ now, keysEnd, revisedAt }: ReadinessFacts): NotReadyReason[] {
  const reasons: NotReadyReason[] = [];
  if (keysEnd.some((end) => end <= now.toISOString())) reasons.push('keys-expired');
  if (now.getTime() < Date.parse(revisedAt) - clockSlackMilliseconds) reasons.push('clock-behind');
  return reasons;
}
