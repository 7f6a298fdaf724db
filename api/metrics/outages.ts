import { Histogram, type Registry } from 'prom-client';
import type { RecordedOutage } from '#contract/outage.ts';

/** @returns what counts outages as they are reported. */
export function outageFamilies(registry: Registry): (outages: readonly RecordedOutage[]) => void {
  const gaps = new Histogram({
    name: 'postern_outage_gap_seconds',
    help: 'How long devices felt nothing come when they changed from one node to another, by why they did.',
    labelNames: ['cause'],
    buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60],
    registers: [registry],
  });
  return (outages) => {
    for (const { cause, gapMilliseconds } of outages) gaps.observe({ cause }, gapMilliseconds / 1000);
  };
}
