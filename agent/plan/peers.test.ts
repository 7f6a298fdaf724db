import { describe, expect, test } from 'bun:test';
import { type PeerStep, planPeers } from './peers.ts';

const peer = (publicKey: string, ...allowedIps: string[]) => ({ publicKey, allowedIps });
const set = (publicKey: string, ...allowedIps: string[]): PeerStep => ({
  kind: 'set-peer',
  on: 'wg0',
  publicKey,
  allowedIps,
});
const remove = (publicKey: string): PeerStep => ({ kind: 'remove-peer', on: 'wg0', publicKey });
const ana = peer('ana', '10.91.1.1/32');
const both = peer('ana', '10.91.1.1/32', '10.91.1.9/32');

const cases = [
  { name: 'nothing to do when nothing drifted', observed: [ana], desired: [ana], narrow: [], widen: [] },
  { name: 'a new device gains a peer', observed: [], desired: [ana], narrow: [], widen: [set('ana', '10.91.1.1/32')] },
  { name: 'a revoked device loses its peer', observed: [ana], desired: [], narrow: [remove('ana')], widen: [] },
  {
    name: 'a reassigned address is freed first',
    observed: [ana],
    desired: [peer('ben', '10.91.1.1/32')],
    narrow: [remove('ana')],
    widen: [set('ben', '10.91.1.1/32')],
  },
  {
    name: 'an address too many is taken back',
    observed: [both],
    desired: [ana],
    narrow: [set('ana', '10.91.1.1/32')],
    widen: [],
  },
  {
    name: 'a device that moved has no address between',
    observed: [ana],
    desired: [peer('ana', '10.91.1.2/32')],
    narrow: [set('ana')],
    widen: [set('ana', '10.91.1.2/32')],
  },
  {
    name: 'the order of allowed IPs says nothing',
    observed: [both],
    desired: [peer('ana', '10.91.1.9/32', '10.91.1.1/32')],
    narrow: [],
    widen: [],
  },
];

describe('planPeers', () => {
  test.each(cases)('$name', ({ observed, desired, narrow, widen }) =>
    expect(planPeers('wg0', observed, desired)).toEqual({ narrow, widen }),
  );
});
