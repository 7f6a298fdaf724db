import type { Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { vrrpCandidates } from './vrrp.ts';

/**
 * The addresses that a node holds besides its own: those of fronts, which every node serves, and the one that moves
 * between the nodes where nothing moves it.
 */
export function heldAddresses(snapshot: Pick<Snapshot, 'nodes' | 'fronts' | 'vip' | 'mesh'>): Ipv4[] {
  const { fronts, vip } = snapshot;
  const isMoved = vip === undefined || movingAddress(snapshot) !== undefined;
  return [...(isMoved ? [] : [vip]), ...fronts.map(({ address }) => address)];
}

/** The address that nodes of a mesh decide about among themselves (VRRP); undefined where there is nothing to decide. */
export function movingAddress({ nodes, vip, mesh }: Pick<Snapshot, 'nodes' | 'vip' | 'mesh'>): Ipv4 | undefined {
  return mesh === undefined || vrrpCandidates(nodes).length < 2 ? undefined : vip;
}
