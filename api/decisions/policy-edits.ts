import type { NetworkResource, NewNetwork } from '#contract/admin.ts';
import { type Cidr, cidrsOverlap } from '#contract/network.ts';
import type { Network, Policy } from '#contract/policy.ts';
import type { FieldError } from '#contract/problem.ts';
import { targetsOf } from '#policies/desired/access.ts';
import type { Result } from './result.ts';

/** What a new installation starts with: devices see one another, and admins also what is granted to them later. */
export const firstPolicy: Policy = {
  roles: [
    { name: 'developer', includes: [] },
    { name: 'admin', includes: ['developer'] },
  ],
  networks: [],
  grants: [
    { role: 'developer', target: { kind: 'devices' } },
    { role: 'admin', target: { kind: 'devices' } },
  ],
};

/** Why a user cannot have this role, or undefined when it can. */
export function roleProblem(policy: Policy, role: string, path = 'role'): FieldError | undefined {
  if (policy.roles.some((known) => known.name === role)) return undefined;
  const known = policy.roles.map(({ name }) => name).join(', ');
  return { path, message: `is not a role of the policy, which has ${known}` };
}

/** The policy with one more network, granted to the roles it names. */
export function withNetwork(
  policy: Policy,
  wanted: NewNetwork,
  around: { pool: Cidr; nodes: readonly string[] },
): Result<Policy> {
  if (policy.networks.some(({ name }) => name === wanted.name))
    return { ok: false, reason: 'already-exists', detail: 'A network with this name exists.' };
  const errors = networkErrors(policy, wanted, around);
  if (errors.length > 0) return { ok: false, reason: 'invalid-input', errors };
  const { name, cidr, gateways, nat = true, roles = [] } = wanted;
  const network: Network = { name, cidr, gateways, nat };
  const grants = [...new Set(roles)].map((role) => ({ role, target: { kind: 'network' as const, network: name } }));
  return {
    ok: true,
    value: { ...policy, networks: [...policy.networks, network], grants: [...policy.grants, ...grants] },
  };
}

/** The policy without the network and whatever was granted on it. */
export function withoutNetwork(policy: Policy, name: string): Result<Policy> {
  if (!policy.networks.some((network) => network.name === name)) return { ok: false, reason: 'not-found' };
  return {
    ok: true,
    value: {
      ...policy,
      networks: policy.networks.filter((network) => network.name !== name),
      grants: policy.grants.filter(({ target }) => target.kind !== 'network' || target.network !== name),
    },
  };
}

/** The networks with the roles that may reach them, be it by a grant of their own or by a role they include. */
export function networkResources(policy: Policy): NetworkResource[] {
  return policy.networks.map((network) => ({
    ...network,
    roles: policy.roles
      .map(({ name }) => name)
      .filter((role) =>
        targetsOf(policy, role).some((target) => target.kind === 'network' && target.network === network.name),
      ),
  }));
}

export function networksThrough(policy: Policy, node: string): string[] {
  return policy.networks
    .filter(({ gateways }) => gateways.some((gateway) => gateway.node === node))
    .map(({ name }) => name);
}

function networkErrors(
  policy: Policy,
  { cidr, gateways, roles = [] }: NewNetwork,
  { pool, nodes }: { pool: Cidr; nodes: readonly string[] },
): FieldError[] {
  return [
    ...(cidrsOverlap(cidr, pool) ? [{ path: 'cidr', message: `overlaps the pool ${pool}` }] : []),
    ...gateways.flatMap(({ node }, index) => {
      const path = `gateways.${index}.node`;
      if (!nodes.includes(node)) return [{ path, message: 'is not a node' }];
      const earlier = gateways.findIndex((gateway) => gateway.node === node);
      return earlier < index ? [{ path, message: 'is named twice' }] : [];
    }),
    ...roles.flatMap((role, index) => roleProblem(policy, role, `roles.${index}`) ?? []),
  ];
}
