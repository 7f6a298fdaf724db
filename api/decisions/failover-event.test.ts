import { expect, test } from 'bun:test';
import type { RecordedOutage } from '#contract/outage.ts';
import { failoverEvent } from './failover-event.ts';

const outage = (deviceId: string, from: string, gapMilliseconds: number): RecordedOutage => ({
  id: 1,
  at: '2026-12-01T08:00:00.000Z',
  deviceId,
  device: 'laptop',
  from,
  to: 'n3',
  cause: 'silent',
  gapMilliseconds,
  reportedBy: 'n3',
});

test('one event tells of all outages of a report, and names the node that most have left', () => {
  const felt = [outage('a', 'n2', 80), outage('b', 'n1', 700), outage('c', 'n1', 90), outage('c', 'n1', 10)];
  expect(failoverEvent('n3', felt)).toEqual({
    type: 'failover',
    actor: 'node n3',
    subject: 'n1',
    detail: {
      outages: 4,
      devices: 3,
      from: { n1: 3, n2: 1 },
      to: { n3: 4 },
      causes: { silent: 4 },
      longestGapMilliseconds: 700,
    },
  });
});
