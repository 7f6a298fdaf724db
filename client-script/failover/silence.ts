import { answerLimit } from './round-trip.ts';

/** Packets that an interface has sent and received since it came up. */
export type Counters = { sent: number; received: number };

/**
 * What the counters say of the way to the nodes. `unanswered` is there since something was sent after the last packet
 * came: how much, and since when. `vain` counts suspicions that a probe dispelled: a flow that is never answered raises
 * them again and again.
 */
export type Listening = {
  counters: Counters;
  receivedAt: number;
  unanswered?: { sent: number; since: number };
  vain: number;
};

const leastSent = 3;
const leastSilenceMs = 200;
const longestPatienceMs = 5_000;

export function listen(counters: Counters, now: number): Listening {
  return { counters, receivedAt: now, vain: 0 };
}

/** After a look at the counters. They begin anew when the interface does. */
export function hear(before: Listening, counters: Counters, now: number): Listening {
  const { sent, received } = before.counters;
  if (counters.sent < sent) return listen(counters, now);
  if (counters.received > received) return listen(counters, now);
  const more = counters.sent - sent;
  const { unanswered } = before;
  if (more === 0) return { ...before, counters };
  return {
    ...before,
    counters,
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
export function afterAsking({ unanswered: _, ...before }: Listening, isAnswered: boolean): Listening {
  return { ...before, vain: isAnswered ? before.vain + 1 : before.vain };
}
