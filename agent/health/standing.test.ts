import { describe, expect, test } from 'bun:test';
import { isNews, mayHold, type Standing, vrrpState } from './standing.ts';

test.each([
  [
    'who holds the address is the master',
    { isAlive: true, hasSettled: true, mayHold: true, hasAddress: true },
    'MASTER',
  ],
  ['who does not is its stand-in', { isAlive: true, hasSettled: true, mayHold: true, hasAddress: false }, 'BACKUP'],
  [
    'one that may not hold it is at fault',
    { isAlive: true, hasSettled: true, mayHold: false, hasAddress: false },
    'FAULT',
  ],
  [
    'an address that was left behind is nobody’s',
    { isAlive: false, hasSettled: false, mayHold: true, hasAddress: true },
    'DEAD',
  ],
  ['nor of one that has just begun', { isAlive: true, hasSettled: false, mayHold: true, hasAddress: true }, 'BACKUP'],
] as const)('%s', (_, observed, expected) => expect(vrrpState(observed)).toBe(expected));

test.each([
  ['a healthy node', { healthy: true, draining: false }, [], true],
  ['an unhealthy one', { healthy: false, draining: false }, [], false],
  ['a drained one, with another to take it', { healthy: true, draining: true }, [{ healthy: true }], false],
  ['a drained one, with nobody to be heard', { healthy: true, draining: true }, [], true],
  ['a drained one, and the other is unhealthy', { healthy: true, draining: true }, [{ healthy: false }], true],
  ['all are drained', { healthy: true, draining: true }, [{ healthy: true, draining: true }], true],
])('%s may hold the address or not', (_, self, others, expected) => expect(mayHold(self, others)).toBe(expected));

describe('what devices are told at once', () => {
  const standing: Standing = { healthy: true, reasons: [], unreachable: [], draining: false, priority: 100 };
  test.each([
    ['health', { healthy: false, reasons: ['nginx does not answer'] }, true],
    ['draining', { draining: true }, true],
    ['who holds the address', { vrrp: 'MASTER', vip: true }, true],
    ['a network', { unreachable: ['a'] }, true],
    ['another reason only', { reasons: ['nginx does not answer'] }, false],
    ['what is seen of others', { sees: 'n2' }, false],
  ] as const)('%s', (_, change, expected) => expect(isNews(standing, { ...standing, ...change })).toBe(expected));
});
