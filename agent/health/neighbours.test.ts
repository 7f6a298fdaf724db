import { describe, expect, test } from 'bun:test';
import type { ProbeAnswer } from '#contract/probe.ts';
import { afterProbe, isHeard, isIsolated, type Neighbour, probeEveryMs, seenHolder, unheard } from './neighbours.ts';

const answer = (node: string, change: Partial<ProbeAnswer> = {}): ProbeAnswer => ({
  nonce: '0123456789abcdef',
  node,
  epoch: 1,
  revision: 1,
  bundleRevision: 0,
  healthy: true,
  ...change,
});

/** Asked each 200 ms from the beginning; answered after the round trip where there is a plus. */
function after(pattern: string, roundTripMs: number): { neighbour: Neighbour; now: number } {
  let neighbour = unheard;
  [...pattern].forEach((sign, place) => {
    const sentAt = place * probeEveryMs;
    if (sign === '+') neighbour = afterProbe(neighbour, answer('n2'), sentAt, sentAt + roundTripMs);
  });
  return { neighbour, now: pattern.length * probeEveryMs };
}

describe('a neighbour', () => {
  test.each([
    ['was never heard', '-----', 1, false],
    ['answers', '+++++', 1, true],
    ['misses two', '+++--', 1, true],
    ['misses four', '+++----', 1, false],
    ['is far away and answers late', '++++++', 300, true],
    ['is far away and misses two', '++++++--', 300, true],
  ])('%s', (_, pattern, roundTripMs, expected) => {
    const { neighbour, now } = after(pattern, roundTripMs);
    expect(isHeard(neighbour, now)).toBe(expected);
  });
});

describe('isolation', () => {
  test.each([
    ['a node that begins is isolated', '', true],
    ['and still is when it has just heard somebody', '+++', true],
    ['but not for long', '++++++++++++', false],
    ['nor by one lost answer', '++++++++++++-', false],
    ['it is when nobody is heard any more', '++++++++++++----', true],
    ['and a short while after somebody is heard again', '++++++++++++-----+++', true],
  ])('%s', (_, pattern, expected) => {
    const { neighbour, now } = after(pattern, 1);
    expect(isIsolated([neighbour, unheard], now)).toBe(expected);
  });

  test('a node without others is not isolated', () => expect(isIsolated([], 0)).toBe(false));
});

describe('who is seen to hold the address', () => {
  const master = { vrrp: 'MASTER', vip: true } as const;
  test.each([
    ['itself before others', { node: 'n1', ...master }, [answer('n2', { ...master, priority: 200 })], 'n1'],
    ['another', { node: 'n1' }, [answer('n3'), answer('n2', master)], 'n2'],
    [
      'the preferred of two',
      { node: 'n1' },
      [answer('n3', { ...master, priority: 9 }), answer('n2', { ...master, priority: 10 })],
      'n2',
    ],
    ['nobody that only says so', { node: 'n1' }, [answer('n2', { vrrp: 'MASTER', vip: false })], undefined],
    ['nobody whose VRRP is dead', { node: 'n1' }, [answer('n2', { vrrp: 'DEAD', vip: true })], undefined],
  ])('%s', (_, self, heard, expected) => expect(seenHolder(self, heard)).toBe(expected));
});
