import type { ProbeAnswer } from '#contract/probe.ts';

/** Another node as it is heard over the mesh. Times in milliseconds of one steady clock. */
export type Neighbour = {
  answer: ProbeAnswer | undefined;
  heardAt: number;
  /** Of the present time of being heard without a break. */
  since: number;
  /** Smoothed; undefined before the first answer. */
  roundTripMs: number | undefined;
};

export const probeEveryMs = 200;
const missesToSilence = 3;
/** An isolated node that is heard again waits until it has heard who holds the address now, and only then counts fully. */
const settledAfterMs = 2_000;

export const unheard: Neighbour = {
  answer: undefined,
  heardAt: Number.NEGATIVE_INFINITY,
  since: Number.POSITIVE_INFINITY,
  roundTripMs: undefined,
};

export function afterProbe(before: Neighbour, answer: ProbeAnswer, sentAt: number, now: number): Neighbour {
  const sample = now - sentAt;
  const { roundTripMs } = before;
  return {
    answer,
    heardAt: now,
    since: isHeard(before, now) ? before.since : now,
    roundTripMs: roundTripMs === undefined ? sample : roundTripMs + (sample - roundTripMs) / 8,
  };
}

/** Whether one of its last probes was answered in time. */
export function isHeard({ heardAt, roundTripMs = 0 }: Neighbour, now: number): boolean {
  return now - heardAt <= missesToSilence * probeEveryMs + Math.max(50, 4 * roundTripMs);
}

/**
 * Whether this node is alone among others that should be there. It is until it has heard one of them for a while: a node
 * that comes back must not take the address before it has heard who holds it.
 */
export function isIsolated(neighbours: Iterable<Neighbour>, now: number): boolean {
  const all = [...neighbours];
  return all.length > 0 && !all.some((one) => isHeard(one, now) && now - one.since >= settledAfterMs);
}

/** Whether an answer comes from a node that really holds the address. */
export const isHolder = ({ vrrp, vip }: Pick<ProbeAnswer, 'vrrp' | 'vip'>) => vrrp === 'MASTER' && vip === true;

/** The node that holds the address as far as this one sees: itself before others, the most preferred of several. */
export function seenHolder(
  self: Pick<ProbeAnswer, 'node' | 'vrrp' | 'vip'>,
  heard: readonly ProbeAnswer[],
): string | undefined {
  if (isHolder(self)) return self.node;
  const [first] = heard.filter(isHolder).toSorted((a, b) => (b.priority ?? 0) - (a.priority ?? 0));
  return first?.node;
}
