import type { AuditRow } from '#contract/audit.ts';

const minute = 60_000;
export const driftWindowMilliseconds = 60 * minute;
const mostInWindow = 120;

/** What is written down of one line of drift; `more` counts the lines of the same report that are left out. */
export type DriftNote = { line: string; more?: number };

/**
 * Which lines of a node's report are written down, given what was written for it in the last hour. The same line once a
 * minute is enough, and a node that finds something new all the time must not fill the disk: the last row of its hour
 * says that there was more.
 */
export function driftToNote(
  lines: readonly string[],
  written: readonly Pick<AuditRow, 'at' | 'detail'>[],
  now: Date,
): DriftNote[] {
  const aMinuteAgo = new Date(now.getTime() - minute).toISOString();
  const fresh = new Set(written.filter(({ at }) => at > aMinuteAgo).map(({ detail }) => detail.line));
  const wanted = [...new Set(lines)].filter((line) => !fresh.has(line));
  const room = Math.max(0, mostInWindow - written.length);
  const notes: DriftNote[] = wanted.slice(0, room).map((line) => ({ line }));
  const last = notes.at(-1);
  return last !== undefined && wanted.length > room
    ? [...notes.slice(0, -1), { ...last, more: wanted.length - room }]
    : notes;
}
