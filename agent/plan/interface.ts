import type { InterfaceName } from '#contract/network.ts';

/**
 * The tunnel's interface as it should be. The first of its addresses is the node's own with the pool's prefix, which
 * also makes the route.
 */
export type DesiredInterface = {
  name: InterfaceName;
  publicKey: string;
  listenPort: number;
  addresses: readonly string[];
  /** One that keepalived puts there and takes away. */
  moving?: string;
  mtu: number;
  /** Interfaces that packets to or from the tunnel come in by. */
  forwarding: readonly InterfaceName[];
};

/** `link` is absent when the interface, or the process that serves it, is gone. */
export type ObservedTunnel = {
  link: { publicKey: string; listenPort: number; addresses: readonly string[]; mtu: number; isUp: boolean } | undefined;
  /** What /proc says of net.ipv4.conf.DEVICE.forwarding; a device that does not exist is absent. */
  forwarding: ReadonlyMap<InterfaceName, boolean>;
  /** Whether the kernel takes TCP in midstream for a new flow; undefined where it tracks no flows yet. */
  picksUpFlows: boolean | undefined;
};

export type InterfaceStep =
  | { kind: 'create-interface' }
  | { kind: 'configure-wireguard'; listenPort: number }
  | { kind: 'set-mtu'; mtu: number }
  | { kind: 'add-interface-address'; address: string }
  | { kind: 'remove-interface-address'; address: string }
  | { kind: 'bring-up' }
  | { kind: 'set-forwarding'; device: InterfaceName; enabled: boolean }
  | { kind: 'pick-up-flows'; enabled: boolean };

/**
 * The steps that make the tunnel's interface. It is brought up last.
 *
 * Forwarding is switched per interface: the kernel asks the one a packet came in by, so the global switch, which would
 * open every interface of the machine, stays as it is. `found` holds what a device had before we ever touched it; one
 * that no network needs any more goes back to that.
 */
export function planInterface(
  observed: ObservedTunnel,
  desired: DesiredInterface,
  found: ReadonlyMap<InterfaceName, boolean>,
): readonly InterfaceStep[] {
  const { link } = observed;
  const steps: InterfaceStep[] = [];
  if (link === undefined) steps.push({ kind: 'create-interface' });
  if (link?.publicKey !== desired.publicKey || link.listenPort !== desired.listenPort)
    steps.push({ kind: 'configure-wireguard', listenPort: desired.listenPort });
  if (link?.mtu !== desired.mtu) steps.push({ kind: 'set-mtu', mtu: desired.mtu });
  for (const address of link?.addresses ?? [])
    if (!desired.addresses.includes(address) && address !== desired.moving)
      steps.push({ kind: 'remove-interface-address', address });
  for (const address of desired.addresses)
    if (!link?.addresses.includes(address)) steps.push({ kind: 'add-interface-address', address });
  // What belongs to no known flow is refused, so that nothing hangs behind a node that has just begun.
  if (observed.picksUpFlows !== false) steps.push({ kind: 'pick-up-flows', enabled: false });
  return [
    ...steps,
    ...planForwarding(observed, [desired.name, ...desired.forwarding], found, link === undefined ? desired.name : ''),
    ...(link?.isUp ? [] : [{ kind: 'bring-up' } as const]),
  ];
}

function planForwarding(
  { forwarding }: ObservedTunnel,
  devices: readonly InterfaceName[],
  found: ReadonlyMap<InterfaceName, boolean>,
  created: InterfaceName,
): readonly InterfaceStep[] {
  const needed = new Set(devices);
  const on = [...needed]
    .filter((device) => forwarding.get(device) === false || device === created)
    .map((device): InterfaceStep => ({ kind: 'set-forwarding', device, enabled: true }));
  const back = [...found]
    .filter(([device, enabled]) => !needed.has(device) && !enabled && forwarding.get(device) === true)
    .map(([device]): InterfaceStep => ({ kind: 'set-forwarding', device, enabled: false }));
  return [...on, ...back];
}
