import { expect, test } from 'bun:test';
import { settled, unfitOf } from './unfit.ts';

test('who is silent is unfit for all, who says so for a network', () =>
  expect([...unfitOf(['n2', 'n3'], [{ node: 'n3', unreachable: ['lan'] }])]).toEqual(['n2', 'n3 lan']));

test('told once, when it has been the same for a while', () => {
  const told: string[][] = [];
  const one = settled(1_000, (set) => void told.push([...set]));
  const look = (now: number, ...names: string[]) => one.look(new Set(names), now);
  look(0);
  look(100, 'n2');
  look(600);
  look(700, 'n2');
  look(1_600, 'n2');
  expect(told).toEqual([]);
  look(1_700, 'n2');
  look(1_800, 'n2');
  expect(told).toEqual([['n2']]);
  look(1_900);
  look(2_900);
  expect(told).toEqual([['n2'], []]);
});
