import { expect, test } from 'bun:test';
import { desiredPeers } from './peers.ts';

test('every device is a peer that may send from its own address and from no other', () => {
  const device = (number: number) => ({
    id: `00000000-0000-7000-8000-00000000000${number}`,
    userId: '00000000-0000-7000-8000-000000000009',
    name: 'laptop',
    publicKey: Buffer.alloc(32, number).toString('base64'),
    address: `10.91.1.${number}`,
    bundleRevision: 1,
  });
  expect(desiredPeers({ devices: [device(1), device(2)] })).toEqual([
    { publicKey: device(1).publicKey, allowedIps: ['10.91.1.1/32'] },
    { publicKey: device(2).publicKey, allowedIps: ['10.91.1.2/32'] },
  ]);
});
