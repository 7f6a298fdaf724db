import type { RecordedOutage } from '#contract/outage.ts';
import type { Event } from './webhook-events.ts';

/** What webhooks are told of the outages that came in one report: one event, however many devices felt it. */
export function failoverEvent(reportedBy: string, outages: readonly RecordedOutage[]): Event {
  const counted = (of: (outage: RecordedOutage) => string) => {
    const counts: Record<string, number> = {};
    for (const outage of outages) counts[of(outage)] = (counts[of(outage)] ?? 0) + 1;
    return counts;
  };
  const from = counted((outage) => outage.from);
  const [mostLeft = reportedBy] = Object.keys(from).sort((a, b) => (from[b] ?? 0) - (from[a] ?? 0));
  return {
    type: 'failover',
    actor: `node ${reportedBy}`,
    subject: mostLeft,
    detail: {
      outages: outages.length,
      devices: new Set(outages.map(({ deviceId }) => deviceId)).size,
      from,
      to: counted(({ to }) => to),
      causes: counted(({ cause }) => cause),
      longestGapMilliseconds: Math.max(0, ...outages.map(({ gapMilliseconds }) => gapMilliseconds)),
    },
  };
}
