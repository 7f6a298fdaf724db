import type { InterfaceName } from '#contract/network.ts';

/**
 * An interface of WireGuard as it should be. The first of its addresses is the node's own there, with the prefix that
 * also makes the route to the others.
 */
export type DesiredInterface = {
  name: InterfaceName;
  publicKey: string;
  listenPort: number;
  addresses: readonly string[];
  /** Addresses that others put there and take away; they are left alone. */
  foreign: readonly string[];
  mtu: number;
};

export type ObservedLink = {
  publicKey: string;
  listenPort: number;
  addresses: readonly string[];
  mtu: number;
  isUp: boolean;
};

/** How the machine passes packets on. */
export type ObservedForwarding = {
  /** What /proc says of net.ipv4.conf.DEVICE.forwarding; a device that does not exist is absent. */
  forwarding: ReadonlyMap<InterfaceName, boolean>;
  /** Whether the kernel takes TCP in midstream for a new flow; undefined where it tracks no flows yet. */
  picksUpFlows: boolean | undefined;
};

/** `on` names the interface. */
export type InterfaceStep =
  | { kind: 'create-interface'; on: InterfaceName }
  | { kind: 'remove-interface'; on: InterfaceName }
  | { kind: 'configure-wireguard'; on: InterfaceName; listenPort: number }
  | { kind: 'set-mtu'; on: InterfaceName; mtu: number }
  | { kind: 'add-interface-address'; on: InterfaceName; address: string }
  | { kind: 'remove-interface-address'; on: InterfaceName; address: string }
  | { kind: 'bring-up'; on: InterfaceName }
  | { kind: 'set-forwarding'; device: InterfaceName; enabled: boolean }
  | { kind: 'pick-up-flows'; enabled: boolean };

/** The steps that make an interface. It is brought up last. `link` is absent when it, or what serves it, is gone. */
export function planInterface(link: ObservedLink | undefined, desired: DesiredInterface): readonly InterfaceStep[] {
  const { name: on, listenPort, mtu, foreign } = desired;
  const steps: InterfaceStep[] = [];
  if (link === undefined) steps.push({ kind: 'create-interface', on });
  if (link?.publicKey !== desired.publicKey || link.listenPort !== listenPort)
    steps.push({ kind: 'configure-wireguard', on, listenPort });
  if (link?.mtu !== mtu) steps.push({ kind: 'set-mtu', on, mtu });
  for (const address of link?.addresses ?? [])
    if (!desired.addresses.includes(address) && !foreign.includes(address))
      steps.push({ kind: 'remove-interface-address', on, address });
  for (const address of desired.addresses)
    if (!link?.addresses.includes(address)) steps.push({ kind: 'add-interface-address', on, address });
  if (!link?.isUp) steps.push({ kind: 'bring-up', on });
  return steps;
}

/**
 * Forwarding is switched per interface: the kernel asks the one a packet came in by, so the global switch, which would
 * open every interface of the machine, stays as it is. `created` are those that are made in this plan. `found` holds
 * what a device had before we ever touched it; one that no network needs any more goes back to that.
 */
export function planForwarding(
  { forwarding, picksUpFlows }: ObservedForwarding,
  devices: readonly InterfaceName[],
  found: ReadonlyMap<InterfaceName, boolean>,
  created: readonly InterfaceName[],
): readonly InterfaceStep[] {
  const needed = new Set(devices);
  const on = [...needed]
    .filter((device) => forwarding.get(device) === false || created.includes(device))
    .map((device): InterfaceStep => ({ kind: 'set-forwarding', device, enabled: true }));
  const back = [...found]
    .filter(([device, enabled]) => !needed.has(device) && !enabled && forwarding.get(device) === true)
    .map(([device]): InterfaceStep => ({ kind: 'set-forwarding', device, enabled: false }));
  // What belongs to no known flow is refused, so that nothing hangs behind a node that has just begun.
  const flows: readonly InterfaceStep[] = picksUpFlows === false ? [] : [{ kind: 'pick-up-flows', enabled: false }];
  return [...flows, ...on, ...back];
}

/** Steps that make the loopback interface hold these addresses, of those there that are ours. */
export function planLoopback(held: readonly string[], desired: readonly string[]): readonly InterfaceStep[] {
  return [
    ...held
      .filter((address) => !desired.includes(address))
      .map((address): InterfaceStep => ({ kind: 'remove-interface-address', on: loopback, address })),
    ...desired
      .filter((address) => !held.includes(address))
      .map((address): InterfaceStep => ({ kind: 'add-interface-address', on: loopback, address })),
  ];
}

export const loopback = 'lo';
