import { expect, test } from 'bun:test';
import { ownersOf } from './failover/owners.ts';
import { bundleWith, node, publicKeyOf } from './fixture/authority.ts';
import { joinText } from './screen-text.ts';
import { desiredTunnel } from './tunnel.ts';

test('places of one name are told apart: each has its own way, or its own reason to have none', () => {
  const bundle = bundleWith({
    deviceKey: publicKeyOf('device'),
    nodes: [node('n1', '10.91.64.2', 100)],
    networks: [
      { name: 'gitlab', cidr: '10.91.127.254/32', nodes: ['n1'] },
      { name: 'internal', cidr: '172.19.6.0/23', nodes: ['n1'] },
      { name: 'internal', cidr: '172.19.200.7/32', nodes: ['n1'] },
    ],
  });
  const local = { cidr: '172.19.7.0/24', device: 'eth0', isConnected: true };
  const { peers, routes, refused } = desiredTunnel(bundle, ownersOf(bundle, { current: 'n1', views: [] }), [local]);
  expect(routes).toEqual(['10.91.64.2/32', '10.91.127.254/32', '172.19.200.7/32']);
  expect(peers[0]?.allowedIps).toEqual(['10.91.64.2/32', '10.91.127.254/32', '172.19.6.0/23', '172.19.200.7/32']);
  const { networks, deviceName, address } = bundle;
  const text = joinText({
    deviceName,
    address,
    networks,
    refused,
    pending: [],
    ...{ alreadyJoined: false, node: 'n1', codeSentAt: '', joinMs: 1, handshakeMs: 1 },
  });
  expect(text.split('\n').filter((line) => line.startsWith('  '))).toEqual([
    '  gitlab    10.91.127.254/32    through n1',
    '  internal  172.19.6.0/23       NOT routed: this machine has 172.19.7.0/24 itself, on eth0',
    '  internal  172.19.200.7/32     through n1',
  ]);
});
