import type { DnsName } from '#contract/network.ts';

/**
 * The names that a node's certificate is for, in order: its own below the internal domain, and those of fronts. A front
 * whose name lies elsewhere is left out: the authority vouches for the domain alone.
 */
export function certificateNames(node: string, fronts: readonly DnsName[], domain: DnsName): DnsName[] {
  const inside = fronts.filter((name) => name === domain || name.endsWith(`.${domain}`));
  return [...new Set([`${node}.${domain}`, ...inside])].sort();
}
