import { describe, expect, test } from 'bun:test';
import { bundleWith, node, publicKeyOf } from './fixture/authority.ts';
import { desiredTunnel, type LocalRoute } from './tunnel.ts';

const [n1, n2, n3] = [node('n1', '10.91.64.2', 100), node('n2', '10.91.64.3', 200), node('n3', '10.91.64.4', 200)];
const devices = (...nodes: string[]) => ({ name: 'devices', cidr: '10.91.64.0/18', nodes });
const internal = (...nodes: string[]) => ({ name: 'internal', cidr: '172.19.0.0/16', nodes });
const link = (cidr: string, device: string): LocalRoute => ({ cidr, device, isConnected: true });
const via = (cidr: string, device: string): LocalRoute => ({ cidr, device, isConnected: false });

const onN1 = new Map([['172.19.0.0/16', 'n1']]);
type Networks = ReturnType<typeof devices>[];
const bundle = (nodes: (typeof n1)[], networks: Networks) =>
  bundleWith({ deviceKey: publicKeyOf('device'), nodes, networks });

test('every node is a peer with its own address, and has the subnets that it owns', () => {
  const owners = new Map([
    ['10.91.64.0/18', 'n2'],
    ['172.19.0.0/16', 'n1'],
  ]);
  const { peers } = desiredTunnel(bundle([n1, n2, n3], [devices('n1', 'n2'), internal('n1')]), owners, []);
  expect(peers.map(({ node: name, allowedIps }) => [name, ...allowedIps])).toEqual([
    ['n1', '10.91.64.2/32', '172.19.0.0/16'],
    ['n2', '10.91.64.3/32', '10.91.64.0/18'],
    ['n3', '10.91.64.4/32'],
  ]);
});

describe('the routes of the tunnel', () => {
  const ours = ['10.91.64.2/32', '172.19.0.0/16'];
  const nodeOnly = ['10.91.64.2/32'];
  test.each([
    ['lead to node and network', [], ours, undefined],
    ['are not bothered by other local networks', [link('192.168.1.0/24', 'eth0')], ours, undefined],
    ['leave the same local network alone', [link('172.19.0.0/16', 'docker0')], nodeOnly, /itself, on docker0/],
    ['leave a wider local network alone', [link('172.16.0.0/12', 'eth0')], nodeOnly, /itself, on eth0/],
    ['leave a narrower local network alone', [link('172.19.5.0/24', 'br-1')], nodeOnly, /172\.19\.5\.0\/24 itself/],
    ['do not replace the same route of another', [via('172.19.0.0/16', 'tun9')], nodeOnly, /already, by tun9/],
    ['stand beside a wider route of another', [via('172.16.0.0/12', 'tun9')], ours, undefined],
  ])('%s', (_, local, routes, reason) => {
    const tunnel = desiredTunnel(bundle([n1], [internal('n1')]), onN1, local);
    expect(tunnel.routes).toEqual(routes);
    if (reason === undefined) expect(tunnel.refused).toEqual([]);
    else
      expect(tunnel.refused).toEqual([
        { network: 'internal', cidr: '172.19.0.0/16', reason: expect.stringMatching(reason) },
      ]);
  });

  test('do not lead the tunnel through itself', () => {
    const inside = { ...n1, endpoints: ['172.19.0.9:51820'] };
    const { routes, refused } = desiredTunnel(bundle([inside], [internal('n1')]), onN1, []);
    expect(routes).toEqual(nodeOnly);
    expect(refused[0]?.reason).toContain('n1 itself');
  });

  test('lead to the address that moves, whichever node has it', () => {
    const moving = { ...bundle([n1, n2], []), vip: '10.91.64.1' };
    expect(desiredTunnel(moving, new Map(), []).routes).toEqual(['10.91.64.2/32', '10.91.64.3/32', '10.91.64.1/32']);
  });

  test('lead nowhere that no node leads to', () =>
    expect(desiredTunnel(bundle([n1], [internal('n9')]), new Map(), []).routes).toEqual(nodeOnly));
});
