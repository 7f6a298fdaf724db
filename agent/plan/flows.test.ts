import { describe, expect, test } from 'bun:test';
import { grant, network, person, policyOf, roles, snapshotOf } from '../fixture/roster.ts';
import type { Flow } from '../formats/conntrack.ts';
import { mayNarrow, mustEnd } from './flows.ts';
import { understand } from './understanding.ts';

const people = [person('ana', 'admin', 1), person('ben', 'developer', 2)];
const policy = policyOf(
  ...roles,
  network('internal', '172.19.0.0/16', 'br-internal'),
  'service web = 172.19.0.10 tcp/443, tcp/22 name web.corp.internal front https',
  grant('developer', 'web'),
  grant('admin', 'internal tcp/80'),
  grant('admin', 'devices'),
  'allow ben@example.com -> internal tcp/5432 until 2026-11-02',
  'allow admin -> nodes tcp/22',
);
const snapshot = snapshotOf(people, { policy, fronts: [{ service: 'web', address: '10.91.63.1' }] });
const meaning = understand({ ...snapshot, vip: '10.91.0.1' });
if (!meaning.ok) throw new Error(meaning.reasons.join('; '));
const { world } = meaning;
const flow = (source: string, destination: string, port: number, change: Partial<Flow> = {}): Flow => ({
  protocol: 'tcp',
  protocolNumber: 6,
  source,
  destination,
  sourcePort: 40_000,
  port,
  icmpType: 0,
  answeredBy: destination,
  ...change,
});
const [ana, ben] = ['10.91.1.1', '10.91.1.2'];
const inTime = Date.UTC(2026, 10, 1);
const tooLate = Date.UTC(2026, 10, 5);

describe('a running flow', () => {
  test.each([
    ['of an admin to the network goes on', flow(ana, '172.19.0.7', 80), inTime, false],
    ['of an admin to another port ends', flow(ana, '172.19.0.7', 8080), inTime, true],
    ['of a developer to the network ends', flow(ben, '172.19.0.7', 80), inTime, true],
    ['in the time of its grant goes on', flow(ben, '172.19.0.7', 5432), inTime, false],
    ['whose grant has run out ends', flow(ben, '172.19.0.7', 5432), tooLate, true],
    ['to a front goes on', flow(ben, '10.91.63.1', 443), inTime, false],
    ['to the port behind a front goes on', flow(ben, '10.91.63.1', 22, { answeredBy: '172.19.0.10' }), inTime, false],
    ['to the backend behind the back of its front ends', flow(ben, '172.19.0.10', 443), inTime, true],
    ['between devices goes on for an admin', flow(ana, ben, 3000), inTime, false],
    ['between devices ends for a developer', flow(ben, ana, 3000), inTime, true],
    ['to the node goes on where it is granted', flow(ana, '10.91.0.2', 22), inTime, false],
    ['to the node ends where it is not', flow(ben, '10.91.0.2', 22), inTime, true],
    ['of probes goes on', flow(ben, '10.91.0.2', 51_830, { protocol: 'udp' }), inTime, false],
    ['of somebody who is no device ends', flow('10.91.1.77', '172.19.0.7', 80), inTime, true],
    ['of the node itself is its own affair', flow('10.91.0.2', ana, 80), inTime, false],
    ['of the node to a front of its own is its own affair', flow('10.91.63.1', '10.91.63.1', 443), inTime, false],
    ['of the node to the address that moves as well', flow('10.91.0.1', '10.91.0.1', 53), inTime, false],
    ['of others is not ours', flow('192.0.2.5', '192.0.2.6', 80), inTime, false],
  ])('%s', (_, running, now, ends) => expect(mustEnd(world, 'n1', running, now)).toBe(ends));
});

describe('flows are looked at', () => {
  test.each([
    ['at the start', undefined, true],
    ['not when somebody joins', snapshotOf(people.slice(0, 1), { policy, fronts: snapshot.fronts }), false],
    [
      'not when somebody leaves',
      snapshotOf([...people, person('cleo', 'admin', 3)], { policy, fronts: snapshot.fronts }),
      false,
    ],
    ['when the document changes', snapshotOf(people), true],
    [
      'when a role changes',
      snapshotOf([people[0] ?? person('ana', 'admin', 1), person('ben', 'admin', 2)], {
        policy,
        fronts: snapshot.fronts,
      }),
      true,
    ],
  ])('%s', (_, before, looked) => expect(mayNarrow(before, snapshot)).toBe(looked));
});
