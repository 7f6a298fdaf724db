import { type Cidr, cidrRange } from '#contract/network.ts';

/** First and last address that may be given out, as numbers. */
export type AddressRange = { readonly first: number; readonly last: number };

const largestNodePart = 64;

/**
 * How a pool is divided. Nodes come first: one address in four, at most 64. The pool's first address stays unused and
 * the second is kept for a virtual address that moves between nodes. Devices have the rest, but for the last address.
 */
export function poolPlan(pool: Cidr): { nodes: AddressRange; devices: AddressRange } {
  const { first, last } = cidrRange(pool);
  const nodePart = Math.min(largestNodePart, Math.floor((last - first + 1) / 4));
  return {
    nodes: { first: first + 2, last: first + nodePart - 1 },
    devices: { first: first + nodePart, last: last - 1 },
  };
}

/** Why a subnet cannot be the pool, or undefined when it can. */
export function poolProblem(pool: Cidr): string | undefined {
  const { prefix } = cidrRange(pool);
  if (prefix > 28) return `the pool ${pool} is too small: take /28 or larger, such as /18`;
  if (prefix < 8) return `the pool ${pool} is too large: take /8 or smaller, such as /18`;
  return undefined;
}
