import { describe, expect, test } from 'bun:test';
import { type WarningFacts, warningsOf } from './warnings.ts';

const now = new Date('2026-12-01T08:00:00.000Z');
const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000);
const day = (days: number) => inDays(days).toISOString();
const version = { epoch: 1, revision: 7 };
const n1 = {
  ...{ name: 'n1', connected: true, applied: version, problem: null, seenAt: day(0) },
  ...{ healthy: true, reasons: [], vip: true },
};
const n2 = { ...n1, name: 'n2', vip: false };

const well: WarningFacts = {
  now,
  keys: [{ use: 'tokens', notAfter: day(300) }],
  certificate: { notBefore: inDays(-10), notAfter: inDays(3640) },
  tokens: [],
  version,
  revisedAt: day(-1),
  nodes: [n1],
  webhooks: [],
  disk: { freeBytes: 50e9, totalBytes: 100e9 },
  master: { superseded: null, life: null },
};

/** A life that began from revision 5, and what a node has shown since. */
const lifeOf = (beganAt: string, witnessedRevision: number) => ({
  superseded: null,
  life: {
    epoch: 2,
    cause: 'restore' as const,
    beganAt,
    from: { epoch: 1, revision: 5 },
    copiedAt: beganAt,
    witnessed: { epoch: 1, revision: witnessedRevision },
    witnesses: [],
    awaited: [],
    aftermath: {
      revoked: [],
      disabled: [],
      roles: [],
      removedNodes: [],
      lostDevices: [],
      lostUsers: [],
      lostNodes: [],
      policy: 'same' as const,
      toClose: [],
    },
  },
});

const cases: { name: string; change: Partial<WarningFacts>; codes: string[] }[] = [
  { name: 'nothing when all is well', change: {}, codes: [] },
  {
    name: 'a master that another has overtaken',
    change: { master: { superseded: { by: version, node: 'n1', at: day(-1) }, life: null } },
    codes: ['master-superseded n1'],
  },
  { name: 'a restore that lost nothing', change: { master: lifeOf(day(-1), 5) }, codes: [] },
  { name: 'a restore that lost something', change: { master: lifeOf(day(-1), 6) }, codes: ['changes-lost'] },
  { name: 'one of a week ago', change: { master: lifeOf(day(-8), 6) }, codes: [] },
  { name: 'several nodes of which one is active', change: { nodes: [n1, n2] }, codes: [] },
  {
    name: 'a node that does not do its work',
    change: { nodes: [n1, { ...n2, healthy: false, reasons: ['nginx does not answer'] }] },
    codes: ['node-unhealthy n2'],
  },
  {
    name: 'several nodes of which none is active',
    change: { nodes: [{ ...n1, vip: false }, n2] },
    codes: ['no-active-node'],
  },
  { name: 'two that are', change: { nodes: [n1, { ...n2, vip: true }] }, codes: ['several-active-nodes'] },
  { name: 'one node that is not', change: { nodes: [n2] }, codes: [] },
  {
    name: 'an active node that is gone, and one that is not active',
    change: { nodes: [{ ...n1, connected: false }, n2] },
    codes: ['node-gone n1'],
  },
  { name: 'a key of 60 days', change: { keys: [{ use: 'tokens', notAfter: day(60) }] }, codes: [] },
  { name: 'a key of less', change: { keys: [{ use: 'tokens', notAfter: day(59.9) }] }, codes: ['key-ends tokens'] },
  {
    name: 'a key that is over',
    change: { keys: [{ use: 'releases', notAfter: day(-1) }] },
    codes: ['key-ends releases'],
  },
  {
    name: 'a certificate of an authority in its last third, which is renewed by itself',
    change: { certificate: { notBefore: inDays(-61), notAfter: inDays(29) } },
    codes: [],
  },
  {
    name: 'one that should have been renewed long ago',
    change: { certificate: { notBefore: inDays(-68), notAfter: inDays(22) } },
    codes: ['certificate-ends'],
  },
  {
    name: 'a certificate of ten years in its last two months',
    change: { certificate: { notBefore: inDays(-3600), notAfter: inDays(59) } },
    codes: ['certificate-ends'],
  },
  { name: 'a full disk', change: { disk: { freeBytes: 1e8, totalBytes: 1e11 } }, codes: ['disk-nearly-full'] },
  { name: 'a small disk with room', change: { disk: { freeBytes: 2e8, totalBytes: 1e9 } }, codes: [] },
  { name: 'no disk at all', change: { disk: undefined }, codes: [] },
  { name: 'a node that is gone', change: { nodes: [{ ...n1, connected: false }] }, codes: ['node-gone n1'] },
  { name: 'a node with a problem', change: { nodes: [{ ...n1, problem: 'no wg0' }] }, codes: ['node-problem n1'] },
  {
    name: 'a node behind',
    change: { nodes: [{ ...n1, applied: { epoch: 1, revision: 6 } }] },
    codes: ['node-behind n1'],
  },
  { name: 'a closed node', change: { nodes: [{ ...n1, applied: null }] }, codes: ['node-behind n1'] },
  {
    name: 'a node that has had no time to follow',
    change: { nodes: [{ ...n1, applied: null }], revisedAt: day(0) },
    codes: [],
  },
  {
    name: 'a webhook that failed twice',
    change: { webhooks: [{ id: 'w1', name: 'chat', failures: 2, disabledBecause: null }] },
    codes: [],
  },
  {
    name: 'a webhook that fails',
    change: { webhooks: [{ id: 'w1', name: 'chat', failures: 3, disabledBecause: null }] },
    codes: ['webhook-failing w1'],
  },
  {
    name: 'a webhook whose receiver is gone',
    change: { webhooks: [{ id: 'w1', name: 'chat', failures: 1, disabledBecause: 'gone' }] },
    codes: ['webhook-failing w1'],
  },
  {
    name: 'a token',
    change: { tokens: [{ id: 't1', name: 'ci', email: 'ana@example.com', expiresAt: day(3) }] },
    codes: ['token-ends t1'],
  },
];

describe('warningsOf', () => {
  test.each(cases)('$name', ({ change, codes }) =>
    expect(
      warningsOf({ ...well, ...change }).map(({ code, subject }) =>
        [code, ...(subject === null ? [] : [subject])].join(' '),
      ),
    ).toEqual(codes),
  );

  test('say when', () => {
    const [ahead] = warningsOf({ ...well, keys: [{ use: 'tokens', notAfter: day(10) }] });
    expect(ahead?.message).toStartWith('The key for tokens runs out in 10 days, on 2026-12-11');
    const [over] = warningsOf({ ...well, keys: [{ use: 'tokens', notAfter: day(-1) }] });
    expect(over?.message).toStartWith('The key for tokens has run out on 2026-11-30');
  });
});
