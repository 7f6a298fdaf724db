import { describe, expect, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { grant, keyOf, person, policyOf, roles, snapshotOf } from '../fixture/roster.ts';
import { afterSteps } from './model.ts';
import { closedNode, desiredNode, type ObservedNode, planNode } from './node.ts';
import { understand } from './understanding.ts';

const mesh = { interface: 'wg-mesh', listenPort: 51821, publicKey: keyOf(251) };
const self = { node: 'n1', interface: 'wg0', listenPort: 51820, publicKey: keyOf(250), mesh };
const now = Date.UTC(2026, 10, 1);

const node = (place: number, endpoint?: string, inMesh = true): Snapshot['nodes'][number] => ({
  name: `n${place}`,
  publicKey: keyOf(200 + place),
  endpoints: [],
  tunnelAddress: `10.91.0.${place + 1}`,
  priority: 100 - place,
  ...(inMesh
    ? {
        mesh: {
          publicKey: keyOf(210 + place),
          address: `10.77.0.${place}`,
          endpoints: endpoint === undefined ? [] : [endpoint],
        },
      }
    : {}),
});
const snapshot = (...nodes: Snapshot['nodes']) =>
  snapshotOf([person('ana', 'admin', 1)], {
    vip: '10.91.0.1',
    mesh: { cidr: '10.77.0.0/24', advertMilliseconds: 200 },
    nodes,
    policy: policyOf(...roles, 'network far = 172.20.0.0/16 via n2 dev lan, n3 dev lan', grant('admin', 'far')),
  });
const desire = (given: Snapshot, unfit?: ReadonlySet<string>) => {
  const meaning = understand(given);
  if (!meaning.ok) throw new Error(meaning.reasons.join('; '));
  return desiredNode(given, meaning.world, self, unfit);
};
const bare: ObservedNode = {
  firewall: { sets: [], rules: { ipv4: new Map(), ipv6: new Map() } },
  tunnel: { link: undefined, forwarding: new Map(), picksUpFlows: true, held: [] },
  peers: [],
  mesh: { link: undefined, peers: [], routes: [] },
  foundForwarding: new Map(),
};
const plan = (from: ObservedNode, to: ReturnType<typeof desire>) => planNode(from, to, self, now);
const reach = (from: ObservedNode, to: ReturnType<typeof desire>) => afterSteps(from, plan(from, to), self);
const whole = snapshot(node(1), node(2, '198.51.100.2:51821'), node(3, 'n3.example.com:51821'));
const standing = reach(bare, desire(whole));
const kinds = (from: ObservedNode, to: ReturnType<typeof desire>) =>
  plan(from, to).flatMap((step) => ('on' in step && step.on !== 'wg0' ? [`${step.kind} ${step.on}`] : []));

describe('the mesh of a node', () => {
  test('is made in one plan, its routes last, and then there is nothing to do', () => {
    expect(plan(standing, desire(whole))).toEqual([]);
    expect(standing.mesh.peers.map(({ allowedIps, keepalive }) => [allowedIps, keepalive])).toEqual([
      [['10.77.0.2/32', '172.20.0.0/16'], 5],
      [['10.77.0.3/32'], 5],
    ]);
    expect(standing.mesh.link?.addresses).toEqual(['10.77.0.1/24']);
    expect(standing.tunnel.held).toEqual(['10.91.0.1/32']);
    expect(standing.tunnel.forwarding.get('wg-mesh')).toBe(true);
    expect(kinds(bare, desire(whole)).slice(-2)).toEqual(['bring-up wg-mesh', 'add-route wg-mesh']);
  });

  test('an address is told to a new peer, a name is not', () =>
    expect(plan(bare, desire(whole)).flatMap((step) => ('endpoint' in step ? [step.endpoint] : []))).toEqual([
      '198.51.100.2:51821',
    ]));

  test.each([
    ['a route', { ...standing.mesh, routes: [] }, ['add-route wg-mesh']],
    ['a route too many', { ...standing.mesh, routes: ['172.20.0.0/16', '10.1.0.0/16'] }, ['remove-route wg-mesh']],
    ['a peer', { ...standing.mesh, peers: standing.mesh.peers.slice(1) }, ['set-peer wg-mesh']],
    [
      'the keepalive',
      { ...standing.mesh, peers: standing.mesh.peers.map((peer) => ({ ...peer, keepalive: 0 })) },
      ['set-peer wg-mesh', 'set-peer wg-mesh'],
    ],
  ])('%s is put right', (_, changed, steps) =>
    expect(kinds({ ...standing, mesh: changed }, desire(whole))).toEqual(steps),
  );

  test('the address that moves is left where keepalived puts it', () => {
    const link = standing.tunnel.link;
    if (link === undefined) throw new Error('no tunnel');
    const moved = { ...link, addresses: [...link.addresses, '10.91.0.1/32'] };
    expect(plan({ ...standing, tunnel: { ...standing.tunnel, link: moved } }, desire(whole))).toEqual([]);
  });

  test('who is silent is gone round in one step before and one after', () => {
    const round = desire(whole, new Set(['n2']));
    expect(kinds(standing, round)).toEqual(['set-peer wg-mesh', 'set-peer wg-mesh']);
    expect(plan(reach(standing, round), round)).toEqual([]);
  });

  test('a node that has no place there any more takes it down', () => {
    const alone = desire(snapshot(node(1, undefined, false), node(2)));
    expect(kinds(standing, alone)).toContain('remove-interface wg-mesh');
    const after = reach(standing, alone);
    expect(after.mesh).toEqual({ link: undefined, peers: [], routes: [] });
    expect(plan(after, alone)).toEqual([]);
  });

  test('an interface of that name with the key of another is not taken down', () => {
    const link = standing.mesh.link;
    if (link === undefined) throw new Error('no mesh');
    const foreign = { ...standing, mesh: { ...standing.mesh, link: { ...link, publicKey: keyOf(1) } } };
    expect(kinds(foreign, desire(snapshot(node(1, undefined, false), node(2))))).not.toContain(
      'remove-interface wg-mesh',
    );
  });

  test('a closed node knows no other', () => expect(reach(standing, closedNode(self)).mesh.peers).toEqual([]));
});
