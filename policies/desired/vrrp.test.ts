import { describe, expect, test } from 'bun:test';
import type { RosterNode } from '#contract/roster.ts';
import { desiredVrrp } from './vrrp.ts';

const node = (number: number, change: Partial<RosterNode> = {}): RosterNode => ({
  name: `n${number}`,
  publicKey: Buffer.alloc(32, number).toString('base64'),
  endpoints: [],
  tunnelAddress: `10.91.0.${number + 1}`,
  priority: 100,
  mesh: { publicKey: Buffer.alloc(32, 100 + number).toString('base64'), address: `10.90.0.${number}`, endpoints: [] },
  ...change,
});
const rest = { vip: '10.91.0.1', mesh: { cidr: '10.90.0.0/24', advertMilliseconds: 200 } };
const { mesh: _, ...withoutMesh } = node(9);

const rows: [string, RosterNode[], Record<string, number | undefined>][] = [
  ['one node alone', [node(1)], { n1: undefined }],
  ['two, by name', [node(2), node(1)], { n1: 200, n2: 160 }],
  ['the preferred first', [node(1), node(2, { priority: 200 }), node(3)], { n1: 160, n2: 200, n3: 120 }],
  ['a drained one keeps its place', [node(1, { draining: true }), node(2)], { n1: 200, n2: 160 }],
  ['one that is not in the mesh', [node(1), node(2), withoutMesh], { n1: 200, n2: 160, n9: undefined }],
  ['the only one in the mesh', [node(1), withoutMesh], { n1: undefined, n9: undefined }],
  ['five at most', [1, 2, 3, 4, 5, 6].map((number) => node(number)), { n1: 200, n5: 40, n6: undefined }],
];

describe('priorities', () => {
  test.each(rows)('%s', (_, nodes, expected) => {
    const found = Object.keys(expected).map((name) => [name, desiredVrrp({ nodes, ...rest }, name)?.priority]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  test('nobody speaks to those that have no say', () => {
    const nodes = [1, 2, 3, 4, 5, 6].map((number) => node(number));
    expect(desiredVrrp({ nodes, ...rest }, 'n2')?.others).toEqual(['10.90.0.1', '10.90.0.3', '10.90.0.4', '10.90.0.5']);
  });

  test('without an address that moves, or without a mesh, nothing is decided', () => {
    const nodes = [node(1), node(2)];
    expect(desiredVrrp({ nodes, mesh: rest.mesh }, 'n1')).toBeUndefined();
    expect(desiredVrrp({ nodes, vip: rest.vip }, 'n1')).toBeUndefined();
  });
});
