import { describe, expect, test } from 'bun:test';
import { bundleWith, node, publicKeyOf } from '../fixture/authority.ts';
import type { NodeView } from './choose.ts';
import { ownersOf } from './owners.ts';

const nodes = [node('n1', '10.91.64.2', 100), node('n2', '10.91.64.3', 200), node('n3', '10.91.64.4', 200)];
const vip = '10.91.64.1';
const [pool, a, b] = ['10.91.64.0/18', '172.19.0.0/16', '172.20.0.0/16'];
const all = ['n1', 'n2', 'n3'];
const views = (state: Record<string, 'answers' | 'silent' | readonly string[]>): NodeView[] =>
  Object.entries(state).map(([name, how]) => ({
    name,
    priority: 0,
    isSilent: how === 'silent',
    ...(how === 'silent'
      ? {}
      : { answer: { epoch: 1, healthy: true, ...(how === 'answers' ? {} : { unreachable: [...how] }) } }),
  }));

type Row = [
  string,
  string | undefined,
  Parameters<typeof views>[0],
  [string, string, string[]][],
  Record<string, string>,
];
const rows: Row[] = [
  [
    'all that the current node leads to is its',
    'n1',
    {},
    [
      ['devices', pool, all],
      ['a', a, all],
    ],
    { [pool]: 'n1', [a]: 'n1' },
  ],
  [
    'what it does not lead to is the preferred gateway’s that answers',
    'n1',
    { n2: 'answers', n3: 'answers' },
    [['a', a, ['n3', 'n2']]],
    { [a]: 'n2' },
  ],
  ['that is not silent', 'n1', { n2: 'silent', n3: 'answers' }, [['a', a, ['n3', 'n2']]], { [a]: 'n3' }],
  ['and can reach it', 'n1', { n2: ['a'], n3: ['b'] }, [['a', a, ['n3', 'n2']]], { [a]: 'n3' }],
  [
    'with none the current node passes it on',
    'n1',
    { n2: 'silent', n3: ['a'] },
    [['a', a, ['n2', 'n3']]],
    { [a]: 'n1' },
  ],
  ['nor with one that was not asked yet', 'n1', {}, [['a', a, ['n2']]], { [a]: 'n1' }],
  [
    'what the current node cannot reach is another’s',
    'n2',
    { n2: ['b'], n3: 'answers' },
    [
      ['a', a, ['n2', 'n3']],
      ['b', b, ['n2', 'n3']],
    ],
    { [a]: 'n2', [b]: 'n3' },
  ],
  ['but not when nobody else can', 'n2', { n2: ['a'], n3: ['a'] }, [['a', a, ['n2', 'n3']]], { [a]: 'n2' }],
  [
    'a subnet named twice has one owner',
    'n1',
    {},
    [
      ['a', a, ['n1']],
      ['other', a, ['n2']],
    ],
    { [a]: 'n1' },
  ],
  ['nobody leads to a network whose nodes are gone', 'n1', {}, [['a', a, []]], {}],
  [
    'before one is chosen, and when it is gone, the preferred has all',
    'n9',
    {},
    [['devices', pool, all]],
    { [pool]: 'n2' },
  ],
];

describe('who has a subnet', () => {
  test.each(rows)('%s', (_, current, state, networks, expected) => {
    const bundle = bundleWith({
      ...{ deviceKey: publicKeyOf('device'), nodes, vip },
      networks: networks.map(([name, cidr, gateways]) => ({ name, cidr, nodes: gateways })),
    });
    const owners = ownersOf(bundle, { current, views: views(state) });
    const here = nodes.some(({ name }) => name === current) ? current : 'n2';
    expect(Object.fromEntries(owners)).toEqual({ [`${vip}/32`]: here, ...expected } as never);
  });

  test('without a mesh nothing is passed on', () => {
    const networks = [{ name: 'a', cidr: a, nodes: ['n1', 'n2'] }];
    const bundle = bundleWith({ deviceKey: publicKeyOf('device'), nodes, networks });
    expect(ownersOf(bundle, { current: 'n3', views: [] })).toEqual(new Map([[a, 'n2']]));
  });
});
