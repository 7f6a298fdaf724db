/** A connection, by the group it counts with, and when it came: newer ones have higher numbers. */
export type Connection = { group: string; age: number };

export type ConnectionLimits = { perGroup: number; all: number };

/**
 * Which connections to end, so that no group has more than its share and all together fit. What there is too much of is
 * taken from the largest groups first, and from each the newest: one who opens many does not cost others theirs.
 */
export function surplus<C extends Connection>(connections: readonly C[], { perGroup, all }: ConnectionLimits): C[] {
  const groups = Map.groupBy(connections, ({ group }) => group);
  const sizes = [...groups.values()].map((group) => group.length);
  const share = Math.min(perGroup, fairShare(sizes, all));
  return [...groups.values()].flatMap((group) => group.toSorted((a, b) => a.age - b.age).slice(share));
}

/** The most that each group may keep, when all together may keep `all`; at least one. */
function fairShare(sizes: readonly number[], all: number): number {
  let left = all;
  for (const [index, size] of sizes.toSorted((a, b) => a - b).entries()) {
    const each = Math.floor(left / (sizes.length - index));
    if (size > each) return Math.max(1, each);
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}
