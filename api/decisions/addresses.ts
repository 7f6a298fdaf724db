import { type Cidr, cidrRange, type Ipv4, numberToIpv4 } from '#contract/network.ts';

/** First and last address that may be given out, as numbers. */
export type AddressRange = { readonly first: number; readonly last: number };

const largestNodePart = 64;

/**
 * How a pool is divided. Nodes come first: one address in four, at most 64. The pool's first address stays unused and
 * the second is the virtual address that moves between nodes. Devices have the rest, but for the last address.
 */
export function poolPlan(pool: Cidr): { vip: Ipv4; nodes: AddressRange; devices: AddressRange } {
  const { first, last } = cidrRange(pool);
  const nodePart = Math.min(largestNodePart, Math.floor((last - first + 1) / 4));
  return {
    vip: numberToIpv4(first + 1),
    nodes: { first: first + 2, last: first + nodePart - 1 },
    devices: { first: first + nodePart, last: last - 1 },
  };
}

/** A node's address in the mesh: it has the place there that it has in the pool, so that nobody else has it. */
export function meshAddress(mesh: Cidr, pool: Cidr, tunnelAddress: number): Ipv4 {
  return numberToIpv4(cidrRange(mesh).first + tunnelAddress - cidrRange(pool).first);
}

/** Why a subnet cannot be the pool, or undefined when it can. */
export function poolProblem(pool: Cidr): string | undefined {
  const { prefix } = cidrRange(pool);
  if (prefix > 28) return `the pool ${pool} is too small: take /28 or larger, such as /18`;
  if (prefix < 8) return `the pool ${pool} is too large: take /8 or smaller, such as /18`;
  return undefined;
}
