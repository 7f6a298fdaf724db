import { describe, expect, test } from 'bun:test';
import type { IpSet } from '#policies/compile/firewall.ts';
import { longestTimeout } from '#policies/compile/render.ts';
import { parseIpsetSave } from '../formats/ipset-save.ts';
import { observedSet, planSets, SetConflict } from './sets.ts';

const now = Date.UTC(2026, 10, 1);
const name = 'postern-7-p3';
const timed = (...elements: IpSet['elements']): IpSet => ({ name, type: 'hash:ip', timeouts: true, elements });
const seen = (...added: string[]) =>
  parseIpsetSave(
    [
      `create ${name} hash:ip family inet hashsize 1024 maxelem 1048576 timeout 0 bucketsize 12 initval 0x1`,
      ...added.map((text) => `add ${name} ${text}`),
    ].join('\n'),
  ).map((set) => observedSet(set, now));
const at = (seconds: number) => now + seconds * 1000;
const add = (element: string, until?: number) => ({
  kind: 'add-element' as const,
  set: name,
  element,
  ...(until === undefined ? {} : { until }),
});
const nothing = { shrink: [], create: [], widen: [], destroy: [] };

describe('elements that end', () => {
  test.each([
    ['stays as it is', '10.91.1.1 timeout 600', at(600), nothing],
    ['stays as it is, the kernel rounding down', '10.91.1.1 timeout 599', at(600.9), nothing],
    [
      'ends sooner when its grant does',
      '10.91.1.1 timeout 600',
      at(60),
      { ...nothing, shrink: [add('10.91.1.1', at(60))] },
    ],
    [
      'ends later when its grant does',
      '10.91.1.1 timeout 60',
      at(600),
      { ...nothing, widen: [add('10.91.1.1', at(600))] },
    ],
    [
      'stays for good when its grant has no end any more',
      '10.91.1.1 timeout 60',
      undefined,
      { ...nothing, widen: [add('10.91.1.1')] },
    ],
    ['gets an end when its grant gets one', '10.91.1.1', at(60), { ...nothing, shrink: [add('10.91.1.1', at(60))] }],
    ['goes by itself within the last second', '10.91.1.1 timeout 1', at(0.5), nothing],
    ['is left alone while the longest timeout lasts', `10.91.1.1 timeout ${longestTimeout - 3_600}`, at(9e6), nothing],
    [
      'is renewed a day later',
      `10.91.1.1 timeout ${longestTimeout - 86_500}`,
      at(9e6),
      { ...nothing, widen: [add('10.91.1.1', at(9e6))] },
    ],
  ])('one %s', (_, saved, until, plan) =>
    expect(
      planSets(seen(saved), [timed({ element: '10.91.1.1', ...(until === undefined ? {} : { until }) })], now),
    ).toEqual(plan),
  );

  test('one that is over is not put in again', () =>
    expect(planSets(seen(), [timed({ element: '10.91.1.1', until: at(-5) })], now)).toEqual(nothing));

  test('one that lost its grant goes, however soon it would end', () =>
    expect(planSets(seen('10.91.1.1 timeout 1'), [timed()], now).shrink).toHaveLength(1));
});

test('a new family is made and filled, the former goes, lists first', () => {
  const desired: IpSet[] = [
    { name: 'postern-8-r1', type: 'hash:ip', timeouts: false, elements: [{ element: '10.91.1.1' }] },
    { name: 'postern-8-g2', type: 'list:set', timeouts: false, size: 8, elements: [{ element: 'postern-8-r1' }] },
  ];
  const former = parseIpsetSave(
    'create postern-7-r1 hash:ip family inet\ncreate postern-7-g2 list:set size 8\nadd postern-7-g2 postern-7-r1',
  ).map((set) => observedSet(set, now));
  expect(planSets(former, desired, now)).toEqual({
    shrink: [],
    create: [
      { kind: 'create-set', set: 'postern-8-r1', definition: 'hash:ip family inet maxelem 1048576' },
      { kind: 'add-element', set: 'postern-8-r1', element: '10.91.1.1' },
      { kind: 'create-set', set: 'postern-8-g2', definition: 'list:set size 8' },
      { kind: 'add-element', set: 'postern-8-g2', element: 'postern-8-r1' },
    ],
    widen: [],
    destroy: [
      { kind: 'destroy-set', set: 'postern-7-g2' },
      { kind: 'destroy-set', set: 'postern-7-r1' },
    ],
  });
});

test.each([
  ['another type', 'hash:net family inet hashsize 1024 maxelem 65536'],
  ['IPv6', 'hash:ip family inet6 hashsize 1024 maxelem 65536 timeout 0'],
  ['no timeouts', 'hash:ip family inet hashsize 1024 maxelem 65536'],
])('a set of our name but %s is not touched, and said', (_, definition) => {
  const observed = parseIpsetSave(`create ${name} ${definition}`).map((set) => observedSet(set, now));
  expect(() => planSets(observed, [timed()], now)).toThrow(SetConflict);
});
