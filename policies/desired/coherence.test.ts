import { describe, expect, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { contradictions } from './coherence.ts';

const id = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
const device = (number: number, change = {}) => ({
  id: id(100 + number),
  userId: id(1),
  name: 'laptop',
  publicKey: `KEY${number}`,
  address: `10.91.1.${number}`,
  bundleRevision: 1,
  ...change,
});
const node = (name: string, change = {}) => ({
  name,
  publicKey: `NODE-${name}`,
  endpoints: [],
  tunnelAddress: '10.91.0.2',
  priority: 1,
  ...change,
});
const network = (cidr: string) => ({ name: 'internal', cidr, gateways: [], nat: true });
const policy = { roles: [], networks: [network('172.19.0.0/16')], grants: [] };
const whole: Snapshot = {
  epoch: 1,
  revision: 1,
  issuedAt: '2026-11-01T00:00:00.000Z',
  pool: '10.91.0.0/18',
  users: [{ id: id(1), email: 'ana@example.com', role: 'admin' }],
  devices: [device(1), device(2)],
  nodes: [node('n1')],
  policy,
};

describe('contradictions', () => {
  test('a whole snapshot has none', () => expect(contradictions(whole)).toEqual([]));

  test('a grant that leads nowhere is none: it opens nothing', () => {
    const grants = [{ role: 'gone', target: { kind: 'network', network: 'gone' } } as const];
    expect(contradictions({ ...whole, policy: { ...policy, grants } })).toEqual([]);
  });

  test.each([
    ['one key on two devices', { devices: [device(1), device(2, { publicKey: 'KEY1' })] }, 'the key KEY1'],
    ['one address on two devices', { devices: [device(1), device(2, { address: '10.91.1.1' })] }, '10.91.1.1'],
    ["a device with the node's address", { devices: [device(1, { address: '10.91.0.2' })] }, '10.91.0.2'],
    ["a device with the node's key", { devices: [device(1, { publicKey: 'NODE-n1' })] }, 'NODE-n1'],
    ['a device outside the pool', { devices: [device(1, { address: '10.92.0.1' })] }, '10.92.0.1'],
    ['a node outside the pool', { nodes: [node('n1', { tunnelAddress: '192.0.2.1' })] }, '192.0.2.1'],
    [
      'two nodes of one name',
      { nodes: [node('n1'), node('n1', { publicKey: 'X', tunnelAddress: '10.91.0.3' })] },
      'n1',
    ],
    ['a device of nobody', { users: [] }, '10.91.1.1'],
    ['a network inside the pool', { policy: { ...policy, networks: [network('10.91.2.0/24')] } }, '10.91.2.0/24'],
  ])('%s is named', (_, change, named) =>
    expect(contradictions({ ...whole, ...change })).toEqual(expect.arrayContaining([expect.stringContaining(named)])),
  );
});
