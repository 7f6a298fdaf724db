import { expect, test } from 'bun:test';
import { afterAnswer, afterSilence, newMemory } from '../node-memory.ts';
import { answerLimit, smooth } from './round-trip.ts';

const answer = {
  nonce: '0123456789abcdef',
  node: 'n1',
  epoch: 1,
  revision: 1,
  bundleRevision: 1,
  healthy: true,
};
const answered = (rttMs: number) => ({ answer, rttMs });

test.each([
  ['the first sample counts as it is', undefined, 80, 80],
  ['a longer one slowly', 80, 160, 90],
  ['a shorter one at once by half', 80, 40, 60],
  ['one that is far too long as if it had just been in time', 80, 3_000, 110],
  ['but no less than the least of all limits', 1, 3_000, 1 + 149 / 8],
])('%s', (_, before, sampleMs, expected) => expect(smooth(before, sampleMs)).toBeCloseTo(expected, 6));

test('what waited for a node to come back is no round trip', () => {
  const before = afterAnswer(newMemory, answered(2), 1_000);
  const late = [3_000, 2_000, 1_000].reduce(
    (memory, rttMs) => afterAnswer(memory, answered(rttMs), 9_000),
    afterSilence(before),
  );
  expect(answerLimit(late.roundTripMs, 150)).toBe(150);
  expect(afterAnswer(late, answered(6), 9_500).roundTripMs).toBe(2.5);
});
