import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Choice, type Current, chooseNode, dwellMs, type NodeView } from './choose.ts';

const now = 1_000_000;
const epoch = 3;
const priorities: Record<string, number> = { n1: 100, n2: 90, n3: 90 };

type Answer = NonNullable<NodeView['answer']>;
const views = (nodes: Record<string, Partial<Answer> | 'silent' | 'unknown'>): NodeView[] =>
  Object.entries(nodes).map(([name, answer]) => ({
    name,
    priority: priorities[name] ?? 0,
    isSilent: answer === 'silent',
    ...(typeof answer === 'string' ? {} : { answer: { epoch, healthy: true, ...answer } }),
  }));

const active: Partial<Answer> = { vrrp: 'MASTER', vip: true };
const standby: Partial<Answer> = { vrrp: 'BACKUP', vip: false };
const unwell = { healthy: false };
const draining = { draining: true };
const stale = { epoch: epoch - 1 };
const on = (node: string, forMs = 60_000): Current => ({ node, since: now - forMs });

type Row = [string, Current | undefined, Parameters<typeof views>[0], Choice];
const rows: Row[] = [
  ['stays on the active node', on('n1'), { n1: active, n2: standby }, { node: 'n1' }],
  ['follows the active node', on('n1'), { n1: standby, n2: active }, { node: 'n2', cause: 'passive' }],
  ['stays on either of two that claim it', on('n2'), { n1: active, n2: active, n3: standby }, { node: 'n2' }],
  [
    'goes to the preferred of two that claim it',
    on('n3'),
    { n1: active, n2: active, n3: standby },
    { node: 'n1', cause: 'passive' },
  ],
  ['stays while nobody is active', on('n2'), { n1: standby, n2: standby }, { node: 'n2' }],
  ['leaves a silent node', on('n1'), { n1: 'silent', n2: standby, n3: standby }, { node: 'n2', cause: 'silent' }],
  ['and prefers the active one', on('n1'), { n1: 'silent', n2: standby, n3: active }, { node: 'n3', cause: 'silent' }],
  [
    'leaves an unwell node',
    on('n1'),
    { n1: { ...active, ...unwell }, n2: standby },
    { node: 'n2', cause: 'unhealthy' },
  ],
  [
    'leaves a draining node',
    on('n1'),
    { n1: { ...active, ...draining }, n2: standby },
    { node: 'n2', cause: 'draining' },
  ],
  [
    'does not follow an active node that is unwell',
    on('n2'),
    { n1: { ...active, ...unwell }, n2: standby },
    { node: 'n2' },
  ],
  ['nor one that drains', on('n2'), { n1: { ...active, ...draining }, n2: standby }, { node: 'n2' }],
  ['nor one of an older epoch', on('n2'), { n1: { ...active, ...stale }, n2: standby }, { node: 'n2' }],
  ['nor one that only says so', on('n2'), { n1: { vrrp: 'MASTER', vip: false }, n2: standby }, { node: 'n2' }],
  ['nor one whose VRRP is dead', on('n2'), { n1: { vrrp: 'DEAD', vip: true }, n2: standby }, { node: 'n2' }],
  [
    'leaves a node of an older epoch',
    on('n1'),
    { n1: { ...active, ...stale }, n2: standby },
    { node: 'n2', cause: 'unhealthy' },
  ],
  ['but not for another such', on('n1'), { n1: stale, n2: { ...active, ...stale } }, { node: 'n1' }],
  ['never goes to one, not even from silence', on('n1'), { n1: 'silent', n2: { ...active, ...stale } }, { node: 'n1' }],
  ['a newer epoch is no fault', on('n1'), { n1: { epoch: epoch + 1 }, n2: {} }, { node: 'n1' }],
  ['stays where all drain', on('n2'), { n1: draining, n2: draining }, { node: 'n2' }],
  ['leaves silence for one that drains', on('n1'), { n1: 'silent', n2: draining }, { node: 'n2', cause: 'silent' }],
  ['leaves silence for one that is unwell', on('n1'), { n1: 'silent', n2: unwell }, { node: 'n2', cause: 'silent' }],
  ['stays where all are unwell', on('n2'), { n1: unwell, n2: unwell }, { node: 'n2' }],
  ['holds where all are silent', on('n2'), { n1: 'silent', n2: 'silent' }, { node: 'n2' }],
  ['stays on what it has not asked yet', on('n2'), { n1: active, n2: 'unknown' }, { node: 'n2' }],
  ['stays with nodes of older software', on('n2'), { n1: {}, n2: {} }, { node: 'n2' }],
  ['and leaves them for an active one', on('n2'), { n1: active, n2: {} }, { node: 'n1', cause: 'passive' }],
  ['stays on a node that is alone', on('n1'), { n1: {} }, { node: 'n1' }],
  ['even when it is unwell', on('n1'), { n1: unwell }, { node: 'n1' }],
  ['leaves a node that is gone', on('n9'), { n1: standby, n2: active }, { node: 'n2', cause: 'draining' }],
  ['waits with a node that is gone until another answers', on('n9'), { n1: 'unknown' }, { node: 'n9' }],
  ['follows nobody so soon', on('n1', dwellMs - 1), { n1: standby, n2: active }, { node: 'n1' }],
  ['nor leaves what drains so soon', on('n1', dwellMs - 1), { n1: draining, n2: active }, { node: 'n1' }],
  ['leaves silence at once', on('n1', 1), { n1: 'silent', n2: standby }, { node: 'n2', cause: 'silent' }],
  ['and what is unwell', on('n1', 1), { n1: unwell, n2: standby }, { node: 'n2', cause: 'unhealthy' }],
  ['begins on the active node', undefined, { n1: standby, n2: active }, { node: 'n2' }],
  ['begins on the preferred where none is', undefined, { n3: {}, n2: {} }, { node: 'n2' }],
  ['begins on one that is well', undefined, { n1: unwell, n2: {} }, { node: 'n2' }],
  ['begins nowhere before one answers', undefined, { n1: 'unknown', n2: 'silent' }, { node: undefined }],
];

describe('a device', () => {
  test.each(rows)('%s', (_, current, nodes, expected) =>
    expect(chooseNode(current, views(nodes), { now, epoch })).toEqual(expected),
  );
});

const anyAnswer = fc.record(
  {
    epoch: fc.constantFrom(epoch - 1, epoch, epoch + 1),
    healthy: fc.boolean(),
    vrrp: fc.constantFrom('MASTER' as const, 'BACKUP' as const, 'FAULT' as const, 'DEAD' as const),
    vip: fc.boolean(),
    draining: fc.boolean(),
  },
  { requiredKeys: ['epoch', 'healthy'] },
);
const anyView = (name: string): fc.Arbitrary<NodeView> =>
  fc.oneof(
    fc.constantFrom(true, false).map((isSilent) => ({ name, priority: priorities[name] ?? 0, isSilent })),
    anyAnswer.map((answer) => ({ name, priority: priorities[name] ?? 0, isSilent: false, answer })),
  );
const anyViews = fc.tuple(anyView('n1'), anyView('n2'), anyView('n3')).map((all): NodeView[] => all);
const anyCurrent = fc.constantFrom('n1', 'n2', 'n3');

describe('whatever the nodes say', () => {
  test('one cause makes one change: the node that was chosen is not left while nothing changes', () =>
    fc.assert(
      fc.property(anyViews, anyCurrent, fc.boolean(), (nodes, node, isLater) => {
        const first = chooseNode(on(node), nodes, { now, epoch });
        if (first.node === undefined) throw new Error('it went nowhere');
        const at = isLater ? now + 2 * dwellMs : now;
        expect(chooseNode({ node: first.node, since: now }, nodes, { now: at, epoch })).toEqual({ node: first.node });
      }),
    ));

  test('a good node is not left', () =>
    fc.assert(
      fc.property(anyViews, anyCurrent, (nodes, node) => {
        const all = nodes.map((view) =>
          view.name === node ? { ...view, isSilent: false, answer: { epoch, healthy: true, ...active } } : view,
        );
        expect(chooseNode(on(node), all as NodeView[], { now, epoch })).toEqual({ node });
      }),
    ));

  test('nobody goes to a node that is silent, of an older epoch, or worse than the one it leaves', () =>
    fc.assert(
      fc.property(anyViews, anyCurrent, (nodes, node) => {
        const { node: chosen, cause } = chooseNode(on(node), nodes, { now, epoch });
        if (cause === undefined) return;
        const view = nodes.find(({ name }) => name === chosen);
        expect(view?.isSilent).toBe(false);
        expect(view?.answer?.epoch ?? 0).toBeGreaterThanOrEqual(epoch);
        if (cause !== 'silent') expect(view?.answer?.healthy).toBe(true);
      }),
    ));

  test('changes that are not urgent come ten seconds apart, however nodes flap', () =>
    fc.assert(
      fc.property(fc.array(anyViews, { minLength: 5, maxLength: 60 }), (moments) => {
        let current = on('n1', 0);
        const calm: number[] = [];
        moments.forEach((nodes, index) => {
          const at = now + index * 1_000;
          const { node, cause } = chooseNode(current, nodes, { now: at, epoch });
          if (cause === undefined || node === undefined) return;
          if (cause === 'passive' || cause === 'draining') {
            expect(at - current.since).toBeGreaterThanOrEqual(dwellMs);
            calm.push(at);
          }
          current = { node, since: at };
        });
        expect(calm.length).toBeLessThanOrEqual(moments.length / 10 + 1);
      }),
    ));
});
