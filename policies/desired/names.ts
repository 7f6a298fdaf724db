import type { DnsName, Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import type { World } from '#policies/meaning/world.ts';

/** A name, and the one address it has inside the tunnel. */
export type NameRecord = { name: DnsName; address: Ipv4 };

/** The name of the address that moves between the nodes, below the internal domain. */
export const vipLabel = 'vpn';

/**
 * The names that nodes answer, in order; none where there is no internal domain. A service with a front is its front,
 * any other its backend. What the document names is so, also where a node has the same name.
 */
export function desiredNames(
  { nodes, vip, dns }: Pick<Snapshot, 'nodes' | 'vip' | 'dns'>,
  { services, frontAddresses }: Pick<World, 'services' | 'frontAddresses'>,
): readonly NameRecord[] {
  if (dns === undefined) return [];
  const names = new Map<DnsName, Ipv4>();
  for (const { name, tunnelAddress } of nodes) names.set(`${name}.${dns.domain}`, tunnelAddress);
  if (vip !== undefined) names.set(`${vipLabel}.${dns.domain}`, vip);
  for (const { name, dnsName, front, address } of services.values()) {
    if (dnsName === undefined) continue;
    const found = front === undefined ? address.value : frontAddresses.get(name.value);
    if (found === undefined) names.delete(dnsName.value);
    else names.set(dnsName.value, found);
  }
  return [...names].map(([name, address]) => ({ name, address })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
