import { describe, expect, test } from 'bun:test';
import type { Policy } from '#contract/policy.ts';
import { bundleContent, rolesIncludedBy, targetsOf } from './access.ts';

const policy: Policy = {
  roles: [
    { name: 'developer', includes: [] },
    { name: 'admin', includes: ['developer'] },
    { name: 'owner', includes: ['admin'] },
    { name: 'snake', includes: ['tail'] },
    { name: 'tail', includes: ['snake'] },
  ],
  networks: [
    {
      name: 'internal',
      cidr: '172.19.0.0/16',
      nat: true,
      gateways: [
        { node: 'n1', device: 'br-internal' },
        { node: 'n2', device: 'eth1' },
      ],
    },
  ],
  grants: [
    { role: 'developer', target: { kind: 'devices' } },
    { role: 'admin', target: { kind: 'devices' } },
    { role: 'admin', target: { kind: 'network', network: 'internal' } },
    { role: 'tail', target: { kind: 'network', network: 'removed' } },
  ],
};

describe('roles', () => {
  test.each([
    ['developer', ['developer']],
    ['owner', ['owner', 'admin', 'developer']],
    ['snake', ['snake', 'tail']],
    ['unheard-of', ['unheard-of']],
  ])('%s includes %j', (role, included) => expect([...rolesIncludedBy(policy, role)]).toEqual(included));

  test.each([
    ['developer', ['devices']],
    ['owner', ['devices', 'internal']],
    ['unheard-of', []],
  ])('%s reaches %j, each once', (role, targets) =>
    expect(targetsOf(policy, role).map((target) => (target.kind === 'devices' ? 'devices' : target.network))).toEqual(
      targets,
    ),
  );
});

describe('bundleContent', () => {
  const nodes = [
    { name: 'n1', publicKey: 'K', endpoints: ['198.51.100.7:51820'], tunnelAddress: '10.91.0.2', priority: 100 },
  ];
  const device = { name: 'laptop', publicKey: 'D', address: '10.91.1.1' };
  const networks = (role: string) => bundleContent({ pool: '10.91.0.0/18', nodes, policy }, device, role).networks;

  test('names the networks of the role and the nodes that lead there', () =>
    expect(networks('admin')).toEqual([
      { name: 'devices', cidr: '10.91.0.0/18', nodes: ['n1'] },
      { name: 'internal', cidr: '172.19.0.0/16', nodes: ['n1', 'n2'] },
    ]));

  test('leaves out a network that is not there any more', () => expect(networks('tail')).toEqual([]));
});
