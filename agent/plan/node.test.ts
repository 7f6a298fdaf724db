import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Snapshot } from '#contract/snapshot.ts';
import { isAccepted } from '../fixture/kernel.ts';
import { grant, keyOf, network, type Person, person, policyOf, snapshotOf } from '../fixture/roster.ts';
import { afterSteps } from './model.ts';
import { closedNode, type DesiredNode, desiredNode, type ObservedNode, planNode, type Step } from './node.ts';
import { understand } from './understanding.ts';

const mesh = { interface: 'wg-mesh', listenPort: 51821, publicKey: keyOf(251) };
const self = { node: 'n1', interface: 'wg0', listenPort: 51820, publicKey: keyOf(250), mesh };

const bare: ObservedNode = {
  firewall: { sets: [], rules: { ipv4: new Map(), ipv6: new Map() } },
  tunnel: {
    link: undefined,
    forwarding: new Map([
      ['br-internal', false],
      ['br-sandbox', false],
    ]),
    picksUpFlows: true,
    held: [],
  },
  peers: [],
  mesh: { link: undefined, peers: [], routes: [] },
  foundForwarding: new Map(),
};

const now = Date.UTC(2026, 10, 1);
const plan = (observed: ObservedNode, desired: DesiredNode) => planNode(observed, desired, self, now);
const reach = (observed: ObservedNode, desired: DesiredNode) => afterSteps(observed, plan(observed, desired), self);
const desire = (snapshot: Snapshot) => {
  const meaning = understand(snapshot);
  if (!meaning.ok) throw new Error(meaning.reasons.join('; '));
  return desiredNode(snapshot, meaning.world, self);
};

/** Few keys, addresses and roles, so that they collide: devices go, come back, swap addresses and roles. */
const people: fc.Arbitrary<readonly Person[]> = fc
  .uniqueArray(
    fc.record({
      key: fc.integer({ min: 1, max: 5 }),
      address: fc.integer({ min: 1, max: 5 }),
      role: fc.constantFrom('developer', 'admin', 'visitor'),
    }),
    { selector: ({ key }) => key, maxLength: 5 },
  )
  .map((list) => [...new Map(list.map((entry) => [entry.address, entry])).values()])
  .map((list) =>
    list.map(({ key, address, role }) => ({ ...person(`p${key}`, role, key), address: `10.91.1.${address}` })),
  );

const networks = [
  network('internal', '172.19.0.0/16', 'br-internal'),
  network('sandbox', '172.17.0.0/16', 'br-sandbox', false),
];
const snapshots: fc.Arbitrary<Snapshot> = fc
  .record({
    people,
    networks: fc.subarray(networks),
    grants: fc.subarray([
      grant('developer'),
      grant('admin'),
      grant('developer', 'internal'),
      grant('admin', 'internal'),
      grant('developer', 'sandbox'),
      grant('visitor', 'sandbox'),
    ]),
    inherits: fc.boolean(),
  })
  .map(({ people, networks, grants, inherits }) =>
    snapshotOf(people, {
      policy: policyOf(
        'role developer',
        inherits ? 'role admin includes developer' : 'role admin',
        'role visitor',
        ...networks,
        ...grants.filter(
          (line) => !/sandbox|internal/.test(line) || networks.some((one) => one.includes(line.split(' -> ')[1] ?? '')),
        ),
      ),
    }),
  );

describe('planNode', () => {
  test('applying a plan gives what is desired, and planning again gives nothing', () =>
    fc.assert(
      fc.property(snapshots, snapshots, (first, second) => {
        const before = reach(bare, desire(first));
        const desired = desire(second);
        expect(plan(before, desire(first))).toEqual([]);
        expect(plan(reach(before, desired), desired)).toEqual([]);
      }),
      { numRuns: 300 },
    ));

  test('cut short anywhere, it opens nothing that neither allows, and closes nothing that both allow', () =>
    fc.assert(
      fc.property(snapshots, snapshots, (first, second) => {
        const before = reach(bare, desire(first));
        const steps = plan(before, desire(second));
        const [open0, last] = [new Set(openings(before)), new Set(openings(afterSteps(before, steps, self)))];
        const permitted = open0.union(last);
        const kept = open0.intersection(last);
        for (let done = 1; done < steps.length; done++) {
          const open = new Set(openings(afterSteps(before, steps.slice(0, done), self)));
          expect([...open.difference(permitted)]).toEqual([]);
          expect([...kept.difference(open)]).toEqual([]);
        }
      }),
      { numRuns: 300 },
    ));

  test('a packet of a stranger is accepted in no state', () =>
    fc.assert(
      fc.property(snapshots, (snapshot) => {
        const node = reach(bare, desire(snapshot));
        for (const to of destinations) expect(isAccepted(node.firewall, { source: '10.91.1.77', ...to })).toBe(false);
      }),
      { numRuns: 100 },
    ));

  const kinds = (steps: readonly Step[]) => steps.map((step) => step.kind);
  const two = [person('ana', 'admin', 1), person('ben', 'developer', 2)];

  test('default deny stands before the tunnel is made, and the tunnel comes up last', () => {
    const order = kinds(plan(bare, desire(snapshotOf(two))));
    expect(order.lastIndexOf('restore-rules')).toBeLessThan(order.indexOf('create-interface'));
    expect(order.at(-1)).toBe('bring-up');
  });

  test('a revoked device leaves the sets before it leaves the peers', () => {
    const before = reach(bare, desire(snapshotOf(two)));
    expect(kinds(plan(before, desire(snapshotOf(two.slice(0, 1)))))).toEqual([
      'remove-element',
      'remove-element',
      'remove-peer',
    ]);
  });

  test('a closed node has no peers and accepts nothing, whatever it was before', () => {
    const before = reach(bare, desire(snapshotOf(two)));
    const after = reach(before, closedNode(self));
    expect(after.peers).toEqual([]);
    expect(openings(after)).toEqual([]);
  });

  test('a node that was taken out of the snapshot closes', () => {
    const elsewhere = { ...snapshotOf(two), nodes: [] };
    expect(desire(elsewhere)).toEqual(closedNode(self));
  });
});

const destinations = [
  { address: '172.19.0.10', output: 'br-internal' },
  { address: '172.17.0.10', output: 'br-sandbox' },
  { address: '10.91.1.5', output: 'wg0' },
];

/** Who can begin a flow to where, as `key at address > address`: the peers that may use an address, times what it may reach. */
function openings(node: ObservedNode): readonly string[] {
  return node.peers.flatMap(({ publicKey, allowedIps }) =>
    allowedIps.flatMap((cidr) =>
      destinations
        .filter((destination) => isAccepted(node.firewall, { source: cidr.replace('/32', ''), ...destination }))
        .map(({ address }) => `${publicKey} at ${cidr} > ${address}`),
    ),
  );
}
