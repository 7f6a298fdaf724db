import type { Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';

/**
 * The addresses that a node holds besides its own: those of fronts, and the one that moves between the nodes. They are
 * held by one node, the most preferred.
 */
export function heldAddresses(
  { nodes, fronts, vip }: Pick<Snapshot, 'nodes' | 'fronts' | 'vip'>,
  node: string,
): Ipv4[] {
  const [holder] = nodes.toSorted((a, b) => b.priority - a.priority || a.name.localeCompare(b.name));
  if (holder?.name !== node) return [];
  return [...(vip === undefined ? [] : [vip]), ...fronts.map(({ address }) => address)];
}
