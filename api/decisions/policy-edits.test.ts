import { describe, expect, test } from 'bun:test';
import {
  firstPolicy,
  networkResources,
  networksThrough,
  roleProblem,
  withNetwork,
  withoutNetwork,
} from './policy-edits.ts';

const around = { pool: '10.91.64.0/18', nodes: ['n1', 'n2'] };
const internal = {
  name: 'internal',
  cidr: '172.19.0.0/16',
  gateways: [{ node: 'n1', device: 'br-internal' }],
  roles: ['admin'],
};

describe('a new network', () => {
  test('is granted to the roles it names, and to those that include them', () => {
    const added = withNetwork(firstPolicy, { ...internal, roles: ['developer', 'developer'] }, around);
    if (!added.ok) throw new Error(added.reason);
    expect(added.value.grants.slice(2)).toEqual([
      { role: 'developer', target: { kind: 'network', network: 'internal' } },
    ]);
    expect(networkResources(added.value)).toMatchObject([
      { name: 'internal', nat: true, roles: ['developer', 'admin'] },
    ]);
  });

  test('that names no role is open to none', () => {
    const { roles, ...closed } = internal;
    const added = withNetwork(firstPolicy, closed, around);
    expect(added.ok && networkResources(added.value)[0]?.roles).toEqual([]);
  });

  test.each([
    ['cidr', { ...internal, cidr: '10.91.100.0/24' }],
    ['cidr', { ...internal, cidr: '10.0.0.0/8' }],
    ['gateways.0.node', { ...internal, gateways: [{ node: 'n9', device: 'eth1' }] }],
    ['gateways.1.node', { ...internal, gateways: [...internal.gateways, { node: 'n1', device: 'eth1' }] }],
    ['roles.1', { ...internal, roles: ['admin', 'nobody'] }],
  ])('is refused for its %s', (path, wanted) =>
    expect(withNetwork(firstPolicy, wanted, around)).toMatchObject({
      ok: false,
      reason: 'invalid-input',
      errors: [{ path }],
    }),
  );

  test('leaves no trace when it is removed', () => {
    const added = withNetwork(firstPolicy, internal, around);
    if (!added.ok) throw new Error(added.reason);
    expect(networksThrough(added.value, 'n1')).toEqual(['internal']);
    expect(withNetwork(added.value, internal, around)).toMatchObject({ ok: false, reason: 'already-exists' });
    expect(withoutNetwork(added.value, 'internal')).toEqual({ ok: true, value: firstPolicy });
    expect(withoutNetwork(firstPolicy, 'internal')).toMatchObject({ ok: false, reason: 'not-found' });
  });
});

test('a role is one that the policy has', () => {
  expect(roleProblem(firstPolicy, 'admin')).toBeUndefined();
  expect(roleProblem(firstPolicy, 'root')?.message).toContain('developer, admin');
});
