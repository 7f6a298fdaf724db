import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { ObservedPeer } from '#contract/wg.ts';
import { publicKeyOf } from './fixture/authority.ts';
import type { DesiredPeer } from './tunnel.ts';
import { type PeerStep, planTunnel, retryPeer, type TunnelPlan } from './tunnel-plan.ts';

const desired = (node: string, ...allowedIps: string[]): DesiredPeer => ({
  node,
  publicKey: publicKeyOf(node),
  endpoints: [`${node}.example.com:51820`, '198.51.100.9:443'],
  allowedIps,
  persistentKeepaliveSeconds: 25,
});
const observed = (node: string, ...allowedIps: string[]): ObservedPeer => ({
  publicKey: publicKeyOf(node),
  endpoint: '203.0.113.5:4500',
  allowedIps,
  latestHandshake: 1_764_000_000,
  receivedBytes: 1,
  sentBytes: 1,
  persistentKeepaliveSeconds: 25,
});
const brief = ({ peers, routes }: TunnelPlan) => [
  ...peers.map(briefPeer),
  ...routes.map((step) => `${step.kind} ${step.cidr}`),
];
const briefPeer = (step: PeerStep) => {
  const name = ['n1', 'n2'].find((node) => publicKeyOf(node) === step.publicKey);
  return step.kind === 'remove-peer' ? `remove ${name}` : `set ${name} ${step.endpoint ?? 'as is'} ${step.allowedIps}`;
};
const [a, b] = ['10.8.0.2/32', '172.19.0.0/16'];

describe('the plan', () => {
  test.each([
    ['is empty when nothing differs', [observed('n1', a, b)], [a, b], [desired('n1', b, a)], [b, a], []],
    [
      'gives a new peer its first endpoint',
      [],
      [],
      [desired('n1', a)],
      [a],
      [`set n1 n1.example.com:51820 ${a}`, `add-route ${a}`],
    ],
    [
      'leaves the endpoint of a known peer',
      [observed('n1', a)],
      [a],
      [desired('n1', a, b)],
      [a, b],
      [`set n1 as is ${a},${b}`, `add-route ${b}`],
    ],
    [
      'removes a node that is gone',
      [observed('n1', a), observed('n2', b)],
      [a, b],
      [desired('n1', a)],
      [a],
      ['remove n2', `remove-route ${b}`],
    ],
    [
      'touches only the peers that differ',
      [observed('n1', a), observed('n2')],
      [],
      [desired('n1', a), desired('n2', b)],
      [],
      [`set n2 as is ${b}`],
    ],
  ])('%s', (_, peers, routes, wantedPeers, wantedRoutes, steps) =>
    expect(brief(planTunnel({ peers, routes }, { peers: wantedPeers, routes: wantedRoutes }))).toEqual(steps),
  );

  test('repairs a keepalive that was switched off', () => {
    const peers = [{ ...observed('n1', a), persistentKeepaliveSeconds: 0 }];
    expect(planTunnel({ peers, routes: [] }, { peers: [desired('n1', a)], routes: [] }).peers).toHaveLength(1);
  });

  test('makes any tunnel the desired one, and then has nothing left to do', () => {
    const cidrs = fc.uniqueArray(fc.constantFrom(a, b, '10.9.0.0/16', '10.7.0.0/24'));
    const nodes = fc.uniqueArray(fc.constantFrom('n1', 'n2', 'n3', 'n4'));
    fc.assert(
      fc.property(nodes, nodes, cidrs, cidrs, cidrs, (before, after, ips, routesBefore, routesAfter) => {
        const wanted = { peers: after.map((name) => desired(name, ...ips)), routes: routesAfter };
        const start = { peers: before.map((name) => observed(name, a)), routes: routesBefore };
        const end = carryOut(start, planTunnel(start, wanted));
        expect(planTunnel(end, wanted)).toEqual({ peers: [], routes: [] });
      }),
    );
  });
});

test('trying again forgets the peer first, so that WireGuard starts at once', () =>
  expect(retryPeer(desired('n1', a), '198.51.100.9:443').map(briefPeer)).toEqual([
    'remove n1',
    `set n1 198.51.100.9:443 ${a}`,
  ]));

type World = { peers: readonly ObservedPeer[]; routes: readonly string[] };

/** What an interface does with the steps. */
function carryOut({ peers, routes }: World, plan: TunnelPlan): World {
  const byKey = new Map(peers.map((peer) => [peer.publicKey, peer]));
  for (const step of plan.peers) {
    if (step.kind === 'remove-peer') byKey.delete(step.publicKey);
    else byKey.set(step.publicKey, { ...observed(''), ...step });
  }
  const left = new Set(routes);
  for (const { kind, cidr } of plan.routes) {
    if (kind === 'add-route') left.add(cidr);
    else left.delete(cidr);
  }
  return { peers: [...byKey.values()], routes: [...left] };
}
