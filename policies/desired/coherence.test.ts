import { describe, expect, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { coherence } from './coherence.ts';

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
const policy = (...lines: string[]) => ({ revision: 1, document: ['role admin', ...lines, ''].join('\n') });
const internal = (cidr: string) => `network internal = ${cidr} via n1 dev br-internal`;
const whole: Snapshot = {
  epoch: 1,
  revision: 1,
  issuedAt: '2026-11-01T00:00:00.000Z',
  pool: '10.91.0.0/18',
  users: [{ id: id(1), email: 'ana@example.com', role: 'admin' }],
  devices: [device(1), device(2)],
  nodes: [node('n1')],
  policy: policy(internal('172.19.0.0/16')),
  fronts: [],
};
const front = (address: string) => ({ service: 'vault', address });
const reasons = (change: Partial<Snapshot>) => {
  const found = coherence({ ...whole, ...change });
  return found.ok ? [] : found.reasons;
};

describe('coherence', () => {
  test('a whole snapshot has it, and means something', () => {
    const found = coherence(whole);
    expect(found.ok && [...found.world.networks.keys()]).toEqual(['internal']);
  });

  test('a grant that leads nowhere is no reason: it opens nothing', () =>
    expect(
      reasons({ policy: policy('allow gone@example.com -> devices', 'network far = 172.18.0.0/16 via n9 dev eth0') }),
    ).toEqual([]));

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
    ['a front at the address of a device', { fronts: [{ service: 'vault', address: '10.91.1.1' }] }, '10.91.1.1'],
    ['a front outside the pool', { fronts: [{ service: 'vault', address: '192.0.2.9' }] }, 'service vault'],
    ['a service with two fronts', { fronts: [front('10.91.3.1'), front('10.91.3.2')] }, 'vault'],
    ['a network inside the pool', { policy: policy(internal('10.91.2.0/24')) }, '10.91.2.0/24'],
    ['a document that cannot be read', { policy: policy('allow everything') }, 'policy line 2'],
    ['a document that names what is not there', { policy: policy('allow admin -> nowhere') }, 'policy line 2'],
  ])('%s is a reason', (_, change, named) =>
    expect(reasons(change)).toEqual(expect.arrayContaining([expect.stringContaining(named)])),
  );
});
