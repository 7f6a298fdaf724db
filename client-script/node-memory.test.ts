import { describe, expect, test } from 'bun:test';
import { publicKeyOf } from './fixture/authority.ts';
import { isFreshSilence, type NodeMemory, newMemory, offersNewer, repairSilent } from './node-memory.ts';

const peer = {
  node: 'n1',
  publicKey: publicKeyOf('n1'),
  endpoints: ['192.0.2.1:51820', '192.0.2.1:443'],
  allowedIps: ['10.8.0.2/32'],
  persistentKeepaliveSeconds: 25,
};
const now = { unixSeconds: 1_000_000, monotonicMs: 500_000 };
const seen = (secondsAgo: number | 'never') => ({
  publicKey: peer.publicKey,
  endpoint: undefined,
  allowedIps: [],
  latestHandshake: secondsAgo === 'never' ? 0 : now.unixSeconds - secondsAgo,
  receivedBytes: 0,
  sentBytes: 0,
  persistentKeepaliveSeconds: 25,
});

/** Silent in so many looks; since the first of them `receivedBytes` more came than before. */
const silent = (looks: number, receivedBytes: number): NodeMemory => ({
  ...newMemory,
  silence: { looks, receivedBytes },
});

describe('a silent node', () => {
  test.each([
    ['that never spoke is made anew', seen('never'), newMemory, ['remove-peer', 'set-peer']],
    ['with a live session is left alone', seen(100), newMemory, []],
    ['with a dead session is tried at its next endpoint', seen(200), newMemory, ['set-peer']],
    ['that was moved just now is given time', seen(200), { ...newMemory, attempt: 1, triedAt: 495_000 }, []],
    ['that is no peer at all is left to the plan', undefined, newMemory, []],
    ['from which nothing came since the last look is made anew', seen(100), silent(1, 0), ['remove-peer', 'set-peer']],
    ['from which something came is left alone', seen(100), silent(1, -1), []],
    ['that was made anew just now is given time', seen(100), { ...silent(2, 0), triedAt: 495_000 }, []],
  ])('%s', (_, observed, memory, kinds) =>
    expect(repairSilent(peer, observed, memory, now).steps.map(({ kind }) => kind)).toEqual(kinds as never),
  );

  test('is counted by looks in a row without a byte, and looked into soon the first time', () => {
    const first = repairSilent(peer, seen(100), newMemory, now).memory;
    expect(first.silence).toEqual({ looks: 1, receivedBytes: 0 });
    expect(isFreshSilence(first)).toBe(true);
    expect(isFreshSilence(repairSilent(peer, seen(100), first, now).memory)).toBe(false);
    const heard = repairSilent(peer, { ...seen(100), receivedBytes: 32 }, first, now).memory;
    expect(heard.silence).toEqual({ looks: 1, receivedBytes: 32 });
  });

  test('made anew keeps the endpoint it roamed to', () => {
    const roamed = { ...seen(100), endpoint: '198.51.100.9:40000' };
    const { steps } = repairSilent(peer, roamed, silent(1, 0), now);
    expect(steps.at(-1)).toMatchObject({ endpoint: '198.51.100.9:40000' });
  });

  test('goes round its endpoints', () => {
    let memory: NodeMemory = newMemory;
    const endpoints = [1, 2, 3].map(() => {
      const repair = repairSilent(peer, seen('never'), memory, now);
      memory = repair.memory;
      return repair.steps.flatMap((step) => ('endpoint' in step ? [step.endpoint] : []))[0];
    });
    expect(endpoints).toEqual(['192.0.2.1:443', '192.0.2.1:51820', '192.0.2.1:443']);
  });
});

describe('a bundle is fetched', () => {
  const answered = (epoch: number, bundleRevision: number, vainMsAgo?: number): NodeMemory => {
    const answer = { nonce: '0'.repeat(16), node: 'n1', epoch, revision: 9, bundleRevision, healthy: true };
    const vain =
      vainMsAgo === undefined
        ? {}
        : { vain: { version: { epoch, revision: bundleRevision }, at: 500_000 - vainMsAgo } };
    return { ...newMemory, answer, ...vain };
  };
  const have = { epoch: 2, revision: 7 };
  test.each([
    ['when it is newer', answered(2, 8), true],
    ['when the epoch is', answered(3, 1), true],
    ['not when it is ours', answered(2, 7), false],
    ['not when it is older', answered(2, 6), false],
    ['not from an older epoch', answered(1, 9), false],
    ['not from a node that has none', answered(2, 0), false],
    ['nor from one that has none of a newer epoch yet', answered(3, 0), false],
    ['not when nobody answered', newMemory, false],
    ['not again at once when it was in vain', answered(2, 8, 5_000), false],
    ['but again after a while', answered(2, 8, 60_000), true],
  ])('%s', (_, memory, expected) => expect(offersNewer(have, memory, 500_000)).toBe(expected));
});
