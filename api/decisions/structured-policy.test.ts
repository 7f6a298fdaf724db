import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { cidrRange, ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import { checkSource } from '#policies/language/check.ts';
import { accessOf } from '#policies/meaning/access.ts';
import { judgeBoxes } from '#policies/meaning/run-tests.ts';
import { resolve } from '#policies/meaning/world.ts';
import { documentOf, type StructuredPolicy } from './structured-policy.ts';

const roles = [
  { name: 'developer', includes: [] },
  { name: 'admin', includes: ['developer'] },
];
const network = (name: string, cidr: string, more: object = {}) => ({
  name,
  cidr,
  gateways: [{ node: 'n1', device: 'br0' }],
  nat: true,
  ...more,
});
const to = (role: string, name: string) => ({ role, target: { kind: 'network' as const, network: name } });
const statements = (policy: StructuredPolicy) =>
  documentOf(policy)
    .split('\n')
    .filter((line) => line !== '');

describe('the document of a structured policy', () => {
  test('says the same', () =>
    expect(
      statements({
        roles,
        networks: [
          network('internal', '172.19.0.0/16'),
          network('lab', '172.20.0.0/16', {
            gateways: [
              { node: 'n1', device: 'br-lab' },
              { node: 'n2', device: 'eth1' },
            ],
            nat: false,
          }),
        ],
        grants: [{ role: 'developer', target: { kind: 'devices' } }, to('admin', 'internal'), to('admin', 'lab')],
      }).slice(1),
    ).toEqual([
      'role developer',
      'role admin includes developer',
      'network internal = 172.19.0.0/16 via n1 dev br0',
      'network lab = 172.20.0.0/16 via n1 dev br-lab, n2 dev eth1 no-nat',
      'allow developer -> devices',
      'allow admin -> internal',
      'allow admin -> lab',
    ]));

  test('gives another name to a network that is called like a word of the language', () =>
    expect(
      statements({
        roles,
        networks: [network('all', '172.19.0.0/16'), network('net-1', '172.20.0.0/16')],
        grants: [to('admin', 'all')],
      }),
    ).toEqual(expect.arrayContaining(['network net-2 = 172.19.0.0/16 via n1 dev br0', 'allow admin -> net-2'])));

  test('closes what cannot be said', () => {
    const document = documentOf({ roles, networks: [network('odd', '224.0.0.0/8')], grants: [to('admin', 'odd')] });
    expect(document).toContain('# closed, since no tunnel leads there: network odd = 224.0.0.0/8');
    expect(document).not.toContain('allow');
    expect(checkSource(document).ok).toBe(true);
  });

  const cidrs = ['172.16.0.0/12', '172.19.0.0/16', '172.19.7.0/24', '172.19.7.8/32', '172.20.0.0/16'];
  const policies = fc.record({
    roles: fc.constant(roles),
    networks: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'any', 'via', 'net-1'),
        cidr: fc.constantFrom(...cidrs),
        gateways: fc.uniqueArray(
          fc.record({ node: fc.constantFrom('n1', 'n2'), device: fc.constantFrom('br0', 'br1') }),
          { selector: ({ node }) => node, minLength: 1 },
        ),
        nat: fc.boolean(),
      }),
      { selector: ({ name }) => name, maxLength: 5 },
    ),
    grants: fc.array(
      fc.oneof(
        fc.record({ role: fc.constantFrom('developer', 'admin'), target: fc.constant({ kind: 'devices' as const }) }),
        fc.record({
          role: fc.constantFrom('developer', 'admin'),
          target: fc.record({ kind: fc.constant('network' as const), network: fc.constantFrom('a', 'b', 'c', 'any') }),
        }),
      ),
      { maxLength: 6 },
    ),
  });

  test('always can be put in force, and opens an address exactly where the policy did', () =>
    fc.assert(
      fc.property(policies, (policy) => {
        const checked = checkSource(documentOf(policy));
        if (!checked.ok) throw new Error(JSON.stringify(checked.diagnostics));
        const world = resolve(checked.document, {
          pool: '10.91.0.0/16',
          users: [],
          devices: [],
          nodes: [],
          fronts: [],
        });
        for (const role of ['developer', 'admin']) {
          const access = accessOf(world, { roles: world.rolesOf(role) }, 0);
          for (const address of ['172.17.0.1', '172.19.0.1', '172.19.7.1', '172.19.7.8', '172.20.0.1', '10.0.0.1']) {
            const at = ipv4ToNumber(address);
            const box = { place: 'network', addresses: [at, at], ports: [80, 80], time: [0, 0] } as const;
            const open = judgeBoxes(access, [box]).openness === 'all';
            expect([role, numberToIpv4(at), open]).toEqual([role, address, openBefore(policy, role, address)]);
          }
        }
      }),
      { numRuns: 500 },
    ));
});

/** A grant let packets out behind the interfaces of its network, where the most specific network of the address lies. */
function openBefore({ networks, grants }: StructuredPolicy, role: string, address: string): boolean {
  const mine = role === 'admin' ? ['admin', 'developer'] : ['developer'];
  const holding = networks.filter(({ cidr }) => {
    const { first, last } = cidrRange(cidr);
    return first <= ipv4ToNumber(address) && ipv4ToNumber(address) <= last;
  });
  // Of one subnet that was named twice one network was made, to which a node has one way: the first.
  const waysOf = (cidr: string | undefined) => {
    const ways = networks.filter((network) => network.cidr === cidr).flatMap(({ gateways }) => gateways);
    return ways.filter(({ node }, i) => ways.findIndex((way) => way.node === node) === i);
  };
  const [innermost] = holding.toSorted((a, b) => cidrRange(b.cidr).prefix - cidrRange(a.cidr).prefix);
  const ways = waysOf(innermost?.cidr).map(({ node, device }) => `${node} ${device}`);
  return grants.some(({ role: granted, target }) => {
    if (target.kind === 'devices' || !mine.includes(granted)) return false;
    const network = holding.find(({ name }) => name === target.network);
    return network !== undefined && waysOf(network.cidr).some(({ node, device }) => ways.includes(`${node} ${device}`));
  });
}
