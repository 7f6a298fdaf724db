import { describe, expect, test } from 'bun:test';
import { type Called, plannedCalls } from './calls.ts';

const now = Date.UTC(2026, 10, 1);
const [first, second] = ['198.51.100.2:51821', 'n2.example.com:51821'] as const;
const n2 = { publicKey: 'N2', endpoints: [first, second] };
const heard = (secondsAgo: number, endpoint: string | undefined = first) => ({
  publicKey: 'N2',
  endpoint,
  latestHandshake: now / 1000 - secondsAgo,
});
const never = { publicKey: 'N2', endpoint: undefined, latestHandshake: 0 };
const before = (change: Partial<Called> = {}) =>
  new Map([['N2', { endpoints: `${first} ${second}`, turn: 0, at: now - 60_000, ...change }]]);
const ask = (peer: ReturnType<typeof heard> | typeof never, called = before(), desired = n2) =>
  plannedCalls([desired], [peer], called, now).calls.map(({ endpoint }) => endpoint);

describe('plannedCalls', () => {
  test('a new peer is called', () => expect(ask(never, new Map())).toEqual([first]));
  test('one that answers is let be', () => expect(ask(heard(100))).toEqual([]));
  test('one that has moved is let be where it is', () => expect(ask(heard(100, '203.0.113.9:1'))).toEqual([]));
  test('one that was there before the agent is let be', () => expect(ask(heard(100), new Map())).toEqual([]));
  test('one that the roster moves is called there', () =>
    expect(ask(heard(1), before(), { ...n2, endpoints: [second] })).toEqual([second]));
  test('also where it called before', () =>
    expect(ask(heard(1), before({ endpoints: '' }), { ...n2, endpoints: [second] })).toEqual([second]));
  test('one that is silent is called at its next endpoint, in turn', () => {
    expect(ask(heard(200))).toEqual([second]);
    expect(ask(heard(200), before({ turn: 1 }))).toEqual([first]);
  });
  test('and gets a while to answer', () => expect(ask(heard(200), before({ at: now - 5_000 }))).toEqual([]));
  test('one behind NAT calls by itself', () => expect(ask(never, new Map(), { ...n2, endpoints: [] })).toEqual([]));
  test('one whose interface is new is called at once', () =>
    expect(ask(never, before({ at: now - 1_000 }))).toEqual([second]));
  test('what was called is remembered, and who is gone is forgotten', () => {
    const { called } = plannedCalls([n2], [never], before({ turn: 1 }), now);
    expect(called.get('N2')).toEqual({ endpoints: `${first} ${second}`, turn: 0, at: now });
    expect(plannedCalls([], [never], called, now).called.size).toBe(0);
  });
});
