import { describe, expect, test } from 'bun:test';
import { whyNotReady } from './readiness.ts';

const now = new Date('2026-12-01T08:00:00.000Z');
const later = '2027-12-01T08:00:00.000Z';
const earlier = '2026-12-01T07:59:00.000Z';

const cases = [
  { name: 'all is well', keysEnd: [later, later], revisedAt: earlier, reasons: [] },
  { name: 'a key has run out', keysEnd: [later, earlier], revisedAt: earlier, reasons: ['keys-expired'] },
  { name: 'a key runs out this moment', keysEnd: [now.toISOString()], revisedAt: earlier, reasons: ['keys-expired'] },
  { name: 'the clock is off by little', keysEnd: [later], revisedAt: '2026-12-01T08:01:00.000Z', reasons: [] },
  {
    name: 'the clock was set back',
    keysEnd: [later],
    revisedAt: '2026-12-01T08:01:01.000Z',
    reasons: ['clock-behind'],
  },
  { name: 'both', keysEnd: [earlier], revisedAt: later, reasons: ['keys-expired', 'clock-behind'] },
];

describe('whyNotReady', () => {
  test.each(cases)('$name', ({ keysEnd, revisedAt, reasons }) =>
    expect<string[]>(whyNotReady({ now, keysEnd, revisedAt })).toEqual(reasons),
  );
});
