import { cidrContains, cidrsOverlap } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';

/**
 * Why a snapshot cannot be put in force, in words; empty when it can.
 *
 * Only what would give one device another's access counts: a key or an address that means two things. A grant or a
 * role that leads nowhere opens nothing, so it is no reason to keep the older snapshot.
 */
export function contradictions(snapshot: Snapshot): readonly string[] {
  const { pool, devices, nodes, users, policy } = snapshot;
  const userIds = new Set(users.map((user) => user.id));
  return [
    ...repeated([...devices, ...nodes].map((owner) => owner.publicKey)).map((key) => `two owners have the key ${key}`),
    ...repeated([...devices.map((device) => device.address), ...nodes.map((node) => node.tunnelAddress)]).map(
      (address) => `two owners have the address ${address}`,
    ),
    ...repeated(nodes.map((node) => node.name)).map((name) => `two nodes are called ${name}`),
    ...devices
      .filter((device) => !cidrContains(pool, device.address))
      .map((device) => `${device.address} of a device is outside the pool ${pool}`),
    ...nodes
      .filter((node) => !cidrContains(pool, node.tunnelAddress))
      .map((node) => `${node.tunnelAddress} of node ${node.name} is outside the pool ${pool}`),
    ...devices
      .filter((device) => !userIds.has(device.userId))
      .map((device) => `the device at ${device.address} belongs to no user`),
    ...policy.networks
      .filter((network) => cidrsOverlap(network.cidr, pool))
      .map((network) => `network ${network.name} (${network.cidr}) overlaps the pool ${pool}`),
  ];
}

function repeated(values: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return [...new Set(values.filter((value) => seen.has(value) || !seen.add(value)))];
}
