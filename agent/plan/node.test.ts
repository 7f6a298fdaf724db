import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Snapshot } from '#contract/snapshot.ts';
import { grant, keyOf, network, type Person, person, snapshotOf } from '../fixture/roster.ts';
import { afterSteps } from './model.ts';
import { closedNode, type DesiredNode, desiredNode, type ObservedNode, planNode, type Step } from './node.ts';

const self = { node: 'n1', interface: 'wg0', listenPort: 51820, publicKey: keyOf(250) };
const tunnel = { name: 'wg0', publicKey: self.publicKey };

const bare: ObservedNode = {
  firewall: { sets: [], rules: { ipv4: new Map(), ipv6: new Map() } },
  tunnel: {
    link: undefined,
    forwarding: new Map([
      ['br-internal', false],
      ['br-sandbox', false],
    ]),
  },
  peers: [],
  foundForwarding: new Map(),
};

const reach = (observed: ObservedNode, desired: DesiredNode) =>
  afterSteps(observed, planNode(observed, desired), tunnel);

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
      policy: {
        roles: [
          { name: 'developer', includes: [] },
          { name: 'admin', includes: inherits ? ['developer'] : [] },
          { name: 'visitor', includes: [] },
        ],
        networks,
        grants,
      },
    }),
  );

describe('planNode', () => {
  test('applying a plan gives what is desired, and planning again gives nothing', () =>
    fc.assert(
      fc.property(snapshots, snapshots, (first, second) => {
        const before = reach(bare, desiredNode(first, self));
        const desired = desiredNode(second, self);
        expect(planNode(before, desiredNode(first, self))).toEqual([]);
        expect(planNode(reach(before, desired), desired)).toEqual([]);
      }),
      { numRuns: 300 },
    ));

  test('cut short anywhere, it opens nothing that is open neither before nor after', () =>
    fc.assert(
      fc.property(snapshots, snapshots, (first, second) => {
        const before = reach(bare, desiredNode(first, self));
        const steps = planNode(before, desiredNode(second, self));
        const permitted = new Set([...openings(before), ...openings(afterSteps(before, steps, tunnel))]);
        for (let done = 1; done < steps.length; done++)
          for (const opening of openings(afterSteps(before, steps.slice(0, done), tunnel)))
            expect(permitted).toContain(opening);
      }),
      { numRuns: 300 },
    ));

  test('a packet of a stranger is accepted in no state', () =>
    fc.assert(
      fc.property(snapshots, (snapshot) => {
        const node = reach(bare, desiredNode(snapshot, self));
        for (const destination of destinations) expect(isAccepted(node, '10.91.1.77', destination)).toBe(false);
      }),
      { numRuns: 100 },
    ));

  const kinds = (steps: readonly Step[]) => steps.map((step) => step.kind);
  const two = [person('ana', 'admin', 1), person('ben', 'developer', 2)];

  test('default deny stands before the tunnel is made, and the tunnel comes up last', () => {
    const order = kinds(planNode(bare, desiredNode(snapshotOf(two), self)));
    expect(order.lastIndexOf('restore-rules')).toBeLessThan(order.indexOf('create-interface'));
    expect(order.at(-1)).toBe('bring-up');
  });

  test('a revoked device leaves the sets before it leaves the peers', () => {
    const before = reach(bare, desiredNode(snapshotOf(two), self));
    expect(kinds(planNode(before, desiredNode(snapshotOf(two.slice(0, 1)), self)))).toEqual([
      'remove-address',
      'remove-address',
      'remove-peer',
    ]);
  });

  test('a closed node has no peers and accepts nothing, whatever it was before', () => {
    const before = reach(bare, desiredNode(snapshotOf(two), self));
    const after = reach(before, closedNode(self));
    expect(after.peers).toEqual([]);
    expect(openings(after)).toEqual([]);
  });

  test('a node that was taken out of the snapshot closes', () => {
    const elsewhere = { ...snapshotOf(two), nodes: [] };
    expect(desiredNode(elsewhere, self)).toEqual(closedNode(self));
  });
});

const destinations = [
  { address: '172.19.0.10', output: 'br-internal' },
  { address: '172.17.0.10', output: 'br-sandbox' },
  { address: '10.91.1.5', output: 'wg0' },
];

/** Who can begin a flow to where, as `key>address`: the peers that may use an address, times what it may reach. */
function openings(node: ObservedNode): readonly string[] {
  return node.peers.flatMap(({ publicKey, allowedIps }) =>
    allowedIps.flatMap((cidr) =>
      destinations
        .filter((destination) => isAccepted(node, cidr.replace('/32', ''), destination))
        .map(({ address }) => `${publicKey}>${address}`),
    ),
  );
}

/** The fate of the first packet of a flow from the tunnel, by the texts of the rules, as the kernel would read them. */
function isAccepted(node: ObservedNode, source: string, to: (typeof destinations)[number]): boolean {
  const table = node.firewall.rules.ipv4.get('filter');
  if (table?.get('FORWARD')?.[0] !== '-j POSTERN-FORWARD') return true;
  const isIn = (set: string, address: string) =>
    node.firewall.sets.find(({ name }) => name === set)?.entries.includes(address) ?? false;
  for (const rule of table.get('POSTERN-FORWARD') ?? []) {
    if (rule.includes('--ctdir REPLY')) continue;
    const output = /(?:^| )-o (\S+)/.exec(rule)?.[1];
    const prefix = /(?:^| )-d (\d+\.\d+)\./.exec(rule)?.[1];
    const [, negated, set = '', side] = /-m set (! )?--match-set (\S+) (src|dst)/.exec(rule) ?? [];
    const isMatch =
      (output === undefined || output === to.output) &&
      (prefix === undefined || to.address.startsWith(`${prefix}.`)) &&
      (set === '' || isIn(set, side === 'src' ? source : to.address) !== (negated !== undefined));
    if (isMatch) return rule.endsWith('-j ACCEPT');
  }
  return true;
}
