import { expect, test } from 'bun:test';
import { leaks, type Swap } from './scenarios/policy-swap-judge.ts';

const swaps: Swap[] = [
  { from: '9001', to: '9002', calledAt: 1_000, doneAt: 1_200 },
  { from: '9002', to: '9001', calledAt: 2_000, doneAt: 2_200 },
];

test.each([
  ['before any change the first document holds', [500], [500], 1],
  ['within a change the former port passes until the new one is open', [1_050, 1_100], [1_150], 0],
  ['not after it', [1_050, 1_250], [1_080], 1],
  ['between changes only the port in force', [1_500], [1_500], 1],
  ['and after the last', [2_500], [2_500], 1],
  ['the new port may open at any moment of the change', [], [1_001, 1_199], 0],
])('%s', (_, first, second, count) => expect(leaks(swaps, { '9001': first, '9002': second }, 50)).toBe(count));
