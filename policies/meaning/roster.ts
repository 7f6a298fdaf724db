import type { Cidr, Ipv4 } from '#contract/network.ts';
import type { Front } from '#contract/policy.ts';
import type { RosterDevice, RosterNode, RosterUser } from '#contract/roster.ts';
import type { Mesh, Snapshot } from '#contract/snapshot.ts';

/**
 * What a policy needs to know of the world: a snapshot's roster, and the addresses that were given to fronts. Only users
 * who are enabled and devices that are registered are in it.
 */
export interface PolicyRoster extends Pick<Snapshot, 'pool'> {
  readonly users: readonly Pick<RosterUser, 'id' | 'email' | 'role'>[];
  readonly devices: readonly Pick<RosterDevice, 'userId' | 'name' | 'address'>[];
  readonly nodes: readonly Pick<RosterNode, 'name' | 'tunnelAddress' | 'mesh'>[];
  readonly fronts: readonly Front[];
  /** The address that moves between the nodes, where there is one. */
  readonly vip?: Ipv4;
  /** The subnet of the mesh between the nodes, where there is one. */
  readonly mesh?: Pick<Mesh, 'cidr'>;
  /** Subnets of ours besides the pool and the mesh: no network may overlap them. */
  readonly ownSubnets?: readonly Cidr[];
  /** Where the API answers inside the tunnel: the master, and its port. */
  readonly api?: { readonly node: string; readonly port: number };
}
