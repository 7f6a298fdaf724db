import { describe, expect, test } from 'bun:test';
import { smooth } from './round-trip.ts';
import { afterAsking, hear, isSuspicious, type Listening, listen } from './silence.ts';

/** A look each 100 ms: what was sent and received in between. @returns at which looks there was suspicion. */
function suspicions(looks: readonly (readonly [number, number])[], roundTripMs?: number): number[] {
  let [sent, received] = [100, 100];
  let listening: Listening = listen({ sent, received }, 0);
  const found: number[] = [];
  looks.forEach(([out, back], index) => {
    const now = (index + 1) * 100;
    sent += out;
    received += back;
    listening = hear(listening, { sent, received }, now);
    if (!isSuspicious(listening, roundTripMs, now)) return;
    found.push(now);
    listening = afterAsking(listening);
  });
  return found;
}

const times = (count: number, ...pattern: (readonly [number, number])[]) =>
  Array.from({ length: count }, () => pattern).flat();

describe('suspicion', () => {
  test.each([
    ['not of a tunnel that is idle', times(20, [0, 0]), undefined, []],
    ['not while answers come', times(20, [5, 5]), undefined, []],
    ['not while something comes now and then', times(10, [5, 0], [5, 1]), undefined, []],
    ['not of two packets', [...times(3, [5, 5]), ...times(10, [1, 0], [0, 0]).slice(0, 4)], undefined, []],
    [
      '200 ms after the first packet that is not answered',
      [...times(3, [5, 5]), ...times(3, [5, 0])],
      undefined,
      [600],
    ],
    ['not earlier for a long rest before', [...times(30, [0, 0]), ...times(3, [5, 0])], undefined, [3300]],
    ['after four round trips where that is longer', [...times(3, [5, 5]), ...times(5, [5, 0])], 100, [800]],
    ['less and less often of a flow that is never answered', times(64, [5, 0]), undefined, [300, 800, 1700, 3400]],
  ])('%s', (_, looks, roundTripMs, expected) => expect(suspicions(looks, roundTripMs)).toEqual(expected as number[]));

  test('a packet that comes ends the patience', () => {
    const looks = [...times(20, [5, 0]), [5, 5] as const, ...times(4, [5, 0])];
    expect(suspicions(looks)).toEqual([300, 800, 1700, 2400]);
  });

  test('counters that begin anew are no silence', () => {
    const before = hear(listen({ sent: 90, received: 9 }, 0), { sent: 99, received: 9 }, 100);
    expect(isSuspicious(hear(before, { sent: 3, received: 0 }, 200), undefined, 900)).toBe(false);
  });
});

test('a round trip is smoothed by an eighth', () => {
  expect(smooth(undefined, 80)).toBe(80);
  expect(smooth(80, 160)).toBe(90);
});
