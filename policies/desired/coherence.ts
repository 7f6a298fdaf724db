import { cidrContains } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { checkAgainstRoster } from '#policies/meaning/check-roster.ts';
import type { World } from '#policies/meaning/world.ts';
import { readPolicy, worldOf } from './world.ts';

/** What a snapshot means, or why it cannot be put in force, in words. */
export type Coherence =
  | { readonly ok: true; readonly world: World }
  | { readonly ok: false; readonly reasons: readonly string[] };

/**
 * Looks whether a snapshot can be put in force. A key or an address that means two things would give one device
 * another's access, and a document that cannot be read opens nobody knows what. A grant that leads nowhere opens
 * nothing, so it is no reason to keep the older snapshot. `read` is its document, where that was read before.
 */
export function coherence(snapshot: Snapshot, read = readPolicy(snapshot)): Coherence {
  const roster = contradictions(snapshot);
  if (!read.ok) {
    const errors = read.diagnostics.filter(({ severity }) => severity === 'error');
    return { ok: false, reasons: [...roster, ...errors.map(({ line, message }) => `policy line ${line}: ${message}`)] };
  }
  const world = worldOf(read.document, snapshot);
  const overlaps = checkAgainstRoster(world, Date.parse(snapshot.issuedAt)).filter(({ code }) => code === 'own-subnet');
  const reasons = [...roster, ...overlaps.map(({ line, message }) => `policy line ${line}: ${message}`)];
  return reasons.length === 0 ? { ok: true, world } : { ok: false, reasons };
}

function contradictions({ pool, devices, nodes, users, fronts, vip }: Snapshot): readonly string[] {
  const userIds = new Set(users.map((user) => user.id));
  const addresses = [
    ...devices.map(({ address }) => ({ whose: 'a device', address })),
    ...nodes.map(({ name, tunnelAddress: address }) => ({ whose: `node ${name}`, address })),
    ...fronts.map(({ service, address }) => ({ whose: `service ${service}`, address })),
    ...(vip === undefined ? [] : [{ whose: 'the nodes together', address: vip }]),
  ];
  return [
    ...repeated([...devices, ...nodes].map((owner) => owner.publicKey)).map((key) => `two owners have the key ${key}`),
    ...repeated(addresses.map(({ address }) => address)).map((address) => `two owners have the address ${address}`),
    ...repeated(nodes.map((node) => node.name)).map((name) => `two nodes are called ${name}`),
    ...repeated(fronts.map((front) => front.service)).map((name) => `two fronts are for ${name}`),
    ...addresses
      .filter(({ address }) => !cidrContains(pool, address))
      .map(({ whose, address }) => `${address} of ${whose} is outside the pool ${pool}`),
    ...devices
      .filter((device) => !userIds.has(device.userId))
      .map((device) => `the device at ${device.address} belongs to no user`),
  ];
}

function repeated(values: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return [...new Set(values.filter((value) => seen.has(value) || !seen.add(value)))];
}
