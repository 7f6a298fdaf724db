import { answerLimit } from './round-trip.ts';

/** Packets that an interface has sent and received since it came up. */
export type Counters = { sent: number; received: number };

/**
 * What the counters say of the way to the nodes. `unanswered` is there since something was sent after the last packet
 * came: how much, and since when. `vain` counts suspicions since then: a flow that is never answered raises them again and
 * again.
 */
export type Listening = {
  counters: Counters;
  receivedAt: number;
  unanswered?: { sent: number; since: number };
  vain: number;
  /** When the first of what is not answered was sent, asked for or not. */
  waitingSince?: number;
};

const leastSent = 3;
/** The packets that are taken off as our own are counted a moment apart from the others. */
const countingError = 16;
const leastSilenceMs = 200;
const longestPatienceMs = 5_000;

export function listen(counters: Counters, now: number): Listening {
  return { counters, receivedAt: now, vain: 0 };
}

/** After a look at the counters. They begin anew when the interface does. */
export function hear(before: Listening, counters: Counters, now: number): Listening {
  const { sent, received } = before.counters;
  if (counters.received > received || counters.sent < sent - countingError) return listen(counters, now);
  const more = counters.sent - sent;
  const { unanswered } = before;
  if (more <= 0) return { ...before, counters };
  return {
    ...before,
    counters,
    waitingSince: before.waitingSince ?? now,
    unanswered: unanswered === undefined ? { sent: more, since: now } : { ...unanswered, sent: unanswered.sent + more },
  };
}

/** Whether so much is unanswered, and for so long, that it is time to ask. */
export function isSuspicious({ unanswered, vain }: Listening, roundTripMs: number | undefined, now: number): boolean {
  if (unanswered === undefined || unanswered.sent < leastSent) return false;
  const leastMs = answerLimit(roundTripMs, leastSilenceMs);
  const patienceMs = Math.min(leastMs * 2 ** Math.min(vain, 10), Math.max(leastMs, longestPatienceMs));
  return now - unanswered.since >= patienceMs;
}

/** After asking: what was sent before says nothing any more. */
export function afterAsking({ unanswered, ...before }: Listening): Listening {
  return unanswered === undefined ? before : { ...before, vain: before.vain + 1 };
}
