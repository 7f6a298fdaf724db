import type { BundleContent, BundleNetwork } from '#contract/bundle.ts';
import type { GrantTarget, Policy } from '#contract/policy.ts';
import type { RosterDevice } from '#contract/roster.ts';
import type { Snapshot } from '#contract/snapshot.ts';

/** Keeps a NAT's mapping alive without waking a phone's radio all the time; the value wg(8) recommends. */
const persistentKeepaliveSeconds = 25;

/** The role and all it includes, however deep; a cycle ends where it began. */
export function rolesIncludedBy(policy: Policy, role: string): ReadonlySet<string> {
  const included = new Set<string>();
  const visit = (name: string) => {
    if (included.has(name)) return;
    included.add(name);
    for (const next of policy.roles.find((candidate) => candidate.name === name)?.includes ?? []) visit(next);
  };
  visit(role);
  return included;
}

/** What a role may reach, its own grants and those of the roles it includes, each once. */
export function targetsOf(policy: Policy, role: string): readonly GrantTarget[] {
  const roles = rolesIncludedBy(policy, role);
  const targets = policy.grants.filter((grant) => roles.has(grant.role)).map((grant) => grant.target);
  return [...new Map(targets.map((target) => [targetName(target), target])).values()];
}

/** The content of a device's bundle: where it is, who the nodes are and which networks its role opens. */
export function bundleContent(
  snapshot: Pick<Snapshot, 'pool' | 'nodes' | 'policy'>,
  device: Pick<RosterDevice, 'name' | 'publicKey' | 'address'>,
  role: string,
): BundleContent {
  const { pool, nodes, policy } = snapshot;
  return {
    deviceKey: device.publicKey,
    deviceName: device.name,
    address: device.address,
    pool,
    nodes,
    networks: targetsOf(policy, role).flatMap((target) => bundleNetworks(snapshot, target)),
    persistentKeepaliveSeconds,
  };
}

function bundleNetworks(
  { pool, nodes, policy }: Pick<Snapshot, 'pool' | 'nodes' | 'policy'>,
  target: GrantTarget,
): readonly BundleNetwork[] {
  if (target.kind === 'devices') return [{ name: 'devices', cidr: pool, nodes: nodes.map((node) => node.name) }];
  const network = policy.networks.find((candidate) => candidate.name === target.network);
  if (network === undefined) return [];
  return [{ name: network.name, cidr: network.cidr, nodes: network.gateways.map((gateway) => gateway.node) }];
}

function targetName(target: GrantTarget): string {
  return target.kind === 'devices' ? 'devices' : `network ${target.network}`;
}
