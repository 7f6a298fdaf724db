import type { Ipv4 } from '#contract/network.ts';
import type { RosterNode } from '#contract/roster.ts';
import type { Snapshot } from '#contract/snapshot.ts';

/** A node's part in deciding who holds the address that moves. */
export type Vrrp = {
  node: string;
  /** In the mesh, as those of the other candidates. */
  address: Ipv4;
  others: readonly Ipv4[];
  priority: number;
  advertMilliseconds: number;
  vip: Ipv4;
};

/**
 * Far apart: a candidate waits for a time that follows from its priority before it takes over, and two that wait for
 * nearly as long both take over.
 */
const priorities = [200, 160, 120, 80, 40] as const;

/** How much an isolated node falls behind: below every other, and the last one left still takes over. */
export const isolationWeight = -170;

/**
 * The nodes that may hold the address that moves, the most preferred first. One that is drained stays among them: who
 * leaves and who comes must not change the order of the rest.
 */
export function vrrpCandidates(nodes: readonly RosterNode[]): readonly RosterNode[] {
  return nodes
    .filter(({ mesh }) => mesh !== undefined)
    .toSorted((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1))
    .slice(0, priorities.length);
}

/** Undefined for a node that has no say in it: it is alone, is in no mesh, or others are preferred. */
export function desiredVrrp(
  { nodes, vip, mesh }: Pick<Snapshot, 'nodes' | 'vip' | 'mesh'>,
  name: string,
): Vrrp | undefined {
  const candidates = vrrpCandidates(nodes);
  const rank = candidates.findIndex((candidate) => candidate.name === name);
  const self = candidates[rank]?.mesh;
  const priority = priorities[rank];
  if (vip === undefined || mesh === undefined || self === undefined || priority === undefined) return undefined;
  const others = candidates.flatMap((candidate) =>
    candidate.name === name || candidate.mesh === undefined ? [] : [candidate.mesh.address],
  );
  if (others.length === 0) return undefined;
  return { node: name, address: self.address, others, priority, advertMilliseconds: mesh.advertMilliseconds, vip };
}
