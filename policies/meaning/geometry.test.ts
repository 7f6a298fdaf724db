import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ipv4ToNumber } from '#contract/network.ts';
import { type Box, BoxIndex, meet, subtract } from './boxes.ts';
import { cidrsOf, intersection, type Region, regionOf, union, without } from './region.ts';

/** A tiny world of addresses, small enough to look at every one. */
const region = fc
  .array(fc.tuple(fc.nat(40), fc.nat(8)), { maxLength: 5 })
  .map((all) => union(all.map(([a, n]) => [a, a + n] as const)));
const has = (where: Region, at: number) => where.some(([a, b]) => a <= at && at <= b);
const every = Array.from({ length: 60 }, (_, i) => i);

describe('regions', () => {
  test('union, difference and intersection are what they are for single addresses', () =>
    fc.assert(
      fc.property(region, region, (a, b) => {
        for (const at of every) {
          expect(has(union(a, b), at)).toBe(has(a, at) || has(b, at));
          expect(has(without(a, b), at)).toBe(has(a, at) && !has(b, at));
          expect(has(intersection(a, b), at)).toBe(has(a, at) && has(b, at));
        }
      }),
      { numRuns: 300 },
    ));

  test('a region is exactly its subnets', () =>
    fc.assert(
      fc.property(region, (a) => expect(regionOf(cidrsOf(a))).toEqual(a)),
      { numRuns: 300 },
    ));

  test.each([
    [['10.0.0.0/16'], ['10.0.7.0/24'], 8],
    [['10.0.0.0/8'], ['10.0.0.0/9'], 1],
    [['128.0.0.0/1'], [], 1],
    [['255.255.255.255/32'], [], 1],
    [['10.0.0.0/24', '10.0.1.0/24'], [], 1],
  ])('%p without %p is %p subnets', (whole, holes, count) =>
    expect(cidrsOf(without(regionOf(whole), regionOf(holes)))).toHaveLength(count),
  );

  test('no arithmetic wraps at the top of the addresses', () =>
    expect(cidrsOf([[ipv4ToNumber('255.255.255.254'), ipv4ToNumber('255.255.255.255')]])).toEqual([
      '255.255.255.254/31',
    ]));
});

describe('boxes', () => {
  const interval = fc.tuple(fc.nat(5), fc.nat(3)).map(([a, n]) => [a, a + n] as const);
  const box = fc.record({ place: fc.constantFrom('a', 'b'), addresses: interval, ports: interval, time: interval });
  const holds = (boxes: readonly Box[], place: string, point: readonly number[]) =>
    boxes.filter(
      (one) =>
        one.place === place &&
        [one.addresses, one.ports, one.time].every(([a, b], i) => a <= (point[i] ?? -1) && (point[i] ?? -1) <= b),
    ).length;

  test('an index finds all that meet a box, each once', () =>
    fc.assert(
      fc.property(fc.array(box, { maxLength: 12 }), box, (boxes, one) => {
        const found = new BoxIndex(boxes, (each) => each).meeting(one);
        expect(new Set(found)).toEqual(new Set(boxes.filter((each) => meet(each, one))));
        expect(found).toHaveLength(boxes.filter((each) => meet(each, one)).length);
      }),
      { numRuns: 300 },
    ));

  test('what is left holds each point once, and none of what was taken', () =>
    fc.assert(
      fc.property(box, fc.array(box, { maxLength: 4 }), (one, others) => {
        const left = subtract(one, others);
        for (let a = 0; a < 9; a++)
          for (let p = 0; p < 9; p++)
            for (let t = 0; t < 9; t++) {
              const point = [a, p, t];
              const wanted = holds([one], one.place, point) === 1 && holds(others, one.place, point) === 0;
              expect(holds(left, one.place, point)).toBe(wanted ? 1 : 0);
            }
      }),
      { numRuns: 100 },
    ));
});
