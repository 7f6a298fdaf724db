import { afterEach, expect, test } from 'bun:test';
import { until } from '../fixture/hosts.ts';
import { type Observer, openObserver } from './observe.ts';
import type { Watched } from './watched.ts';

let observer: Observer | undefined;
afterEach(() => observer?.stop());

/** Loopback carries, and stands for a network's interface; 127.0.0.71 is a host in it. */
const watched = (backends: Watched['networks'][number]['backends'], change: Partial<Watched> = {}): Watched => ({
  priority: 100,
  draining: false,
  vip: undefined,
  tunnelAddress: '127.0.0.71',
  devices: [],
  networks: [{ name: 'lan', device: 'lo', gateways: ['n1', 'n2'], backends }],
  dnsName: undefined,
  front: undefined,
  mesh: undefined,
  others: new Map(),
  drained: new Set(),
  ...change,
});
const open = (isRunning = () => true) => {
  observer = openObserver('lo', { isWanted: () => true, isRunning });
  return observer;
};
const reachable = (of: Observer) => of.look([]).networks[0]?.isReachable;

test('a service that answers, or refuses, is within reach', async () => {
  const of = open();
  of.aimFor(watched([{ address: '127.0.0.71', port: 9 }]));
  await until('it was asked', () => of.hasAsked());
  expect(reachable(of)).toBe(true);
});

test('a network behind an interface that does not carry is out of reach', async () => {
  const of = open();
  of.aimFor({ ...watched([]), networks: [{ name: 'lan', device: 'gone0', gateways: ['n1', 'n2'], backends: [] }] });
  expect(reachable(of)).toBe(false);
});

test('a program that has ended is noticed before it is asked', () => {
  let isRunning = true;
  const of = open(() => isRunning);
  of.aimFor({ ...watched([]), dnsName: 'n1.corp.internal', tunnelAddress: '127.0.0.1' });
  const well = () => of.look([]).answering.map(({ isWell }) => isWell);
  expect(well()).toEqual([undefined]);
  isRunning = false;
  expect([well(), well()]).toEqual([[undefined], [false]]);
  isRunning = true;
  expect([well(), well()]).toEqual([[false], [undefined]]);
});
