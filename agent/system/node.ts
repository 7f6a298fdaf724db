import type { InterfaceName } from '#contract/network.ts';
import type { ObservedInterface, ObservedPeer } from '#contract/wg.ts';
import type { Flow } from '../formats/conntrack.ts';
import type { SetStep } from '../formats/ipset-save.ts';
import type { RestoreStep } from '../plan/firewall.ts';
import { type InterfaceStep, loopback } from '../plan/interface.ts';
import type { RouteStep } from '../plan/mesh.ts';
import type { ObservedNode, Step } from '../plan/node.ts';
import type { PeerStep } from '../plan/peers.ts';
import type { RunCommand } from './command.ts';
import { missingFeatures } from './features.ts';
import { applyRestore, applySetSteps, endFlows, observeFirewall, removeEmptiedTables, tablesOf } from './firewall.ts';
import { type Journal, openJournal } from './journal.ts';
import {
  applyRouteStep,
  heldWords,
  observeHeld,
  observeLink,
  observeRoutes,
  readForwarding,
  readPicksUpFlows,
  writeForwarding,
  writePicksUpFlows,
} from './link.ts';
import type { WireGuard } from './wireguard.ts';

/** This machine's part that we look at and change. */
export interface NodeSystem {
  /** `devices` are the interfaces whose forwarding matters. */
  observe(devices: readonly InterfaceName[]): Promise<Observation>;
  /** Steps in their order; neighbours of one kind go in one command. */
  apply(steps: readonly Step[]): Promise<void>;
  /** Ends running flows. @returns how many. */
  endFlows(mustEnd: (flow: Flow) => boolean): Promise<number>;
  /** Tries out what a policy needs of the kernel, before anything of ours stands. @returns what is missing. */
  missingFeatures(): Promise<readonly string[]>;
  /** Puts back what no step does: tables that only we made, and how flows are picked up. Forgets what was found. */
  finish(): Promise<void>;
}

/** `wireguard` is the tunnel's, `mesh` the other's; absent where it is gone. */
export type Observation = {
  node: ObservedNode;
  wireguard: ObservedInterface | undefined;
  mesh: ObservedInterface | undefined;
};

export type NodeSystemOptions = {
  run: RunCommand;
  tunnel: WireGuard;
  mesh: WireGuard;
  /** Where the forwarding that was found is written down, before it is changed. */
  journal: string;
};

export function openNodeSystem({ run, tunnel, mesh, journal: path }: NodeSystemOptions): NodeSystem {
  const journal = openJournal(path);
  const own = [tunnel.name, mesh.name];
  const wireguardOf = (name: InterfaceName) => (name === mesh.name ? mesh : tunnel);
  const recordFound = async (device: InterfaceName) => {
    if (!own.includes(device)) await journal.noteForwarding(device, () => readForwarding(device));
  };

  return {
    async observe(devices) {
      const known = await journal.forwarding();
      const [firewall, outer, between, held, forwarding, picksUpFlows] = await Promise.all([
        observeFirewall(run),
        observeInterface(run, tunnel),
        observeInterface(run, mesh),
        observeHeld(run),
        observeForwarding([...own, ...devices, ...known.keys()]),
        readPicksUpFlows(),
      ]);
      const keepalive = ({ publicKey, allowedIps, persistentKeepaliveSeconds }: ObservedPeer) => ({
        publicKey,
        allowedIps,
        keepalive: persistentKeepaliveSeconds,
      });
      return {
        node: {
          firewall,
          tunnel: { link: outer?.link, forwarding, picksUpFlows, held },
          peers: outer?.wg.peers ?? [],
          mesh: {
            link: between?.link,
            peers: between?.wg.peers.map(keepalive) ?? [],
            routes: between === undefined ? [] : await observeRoutes(run, mesh.name),
          },
          foundForwarding: known,
        },
        wireguard: outer?.wg,
        mesh: between?.wg,
      };
    },

    endFlows: (mustEnd) => endFlows(run, mustEnd),

    async missingFeatures() {
      await journal.noteTables(() => tablesOf(run));
      return missingFeatures(run, (await journal.tables()) ?? (await tablesOf(run)));
    },

    async finish() {
      const found = await journal.tables();
      if (found !== undefined) await removeEmptiedTables(run, found);
      if (await journal.picksUpFlows()) await writePicksUpFlows(true);
      await journal.forget();
    },

    async apply(steps) {
      for (const group of groupSteps(steps)) {
        if (group.kind === 'sets') await applySetSteps(run, group.steps);
        else if (group.kind === 'peers') await applyPeers(wireguardOf(group.on), group.steps);
        else if (group.step.kind === 'restore-rules') {
          await journal.noteTables(() => tablesOf(run));
          await applyRestore(run, group.step);
        } else if (group.step.kind === 'add-route' || group.step.kind === 'remove-route')
          await applyRouteStep(run, group.step);
        else await applyInterfaceStep({ run, wireguardOf, recordFound, journal }, group.step);
      }
    },
  };
}

async function observeInterface(run: RunCommand, wireguard: WireGuard) {
  const driver = await wireguard.driver();
  if (driver === undefined) return undefined;
  const [wg, link] = await Promise.all([driver.observe(), observeLink(run, wireguard.name)]);
  return { wg, link: { publicKey: wg.publicKey, listenPort: wg.listenPort, ...link } };
}

async function observeForwarding(devices: readonly InterfaceName[]): Promise<ReadonlyMap<InterfaceName, boolean>> {
  const forwarding = new Map<InterfaceName, boolean>();
  for (const device of new Set(devices)) {
    const enabled = await readForwarding(device);
    if (enabled !== undefined) forwarding.set(device, enabled);
  }
  return forwarding;
}

async function applyPeers(wireguard: WireGuard, steps: readonly PeerStep[]): Promise<void> {
  const driver = await wireguard.driver();
  if (driver === undefined) throw new TunnelGone();
  await driver.applyPeers(steps);
}

/** An interface of WireGuard went away between looking and changing. The next pass makes it again. */
export class TunnelGone extends Error {
  override readonly name = 'TunnelGone';
  readonly code = 'tunnel-gone';

  constructor() {
    super('an interface of WireGuard went away while it was being changed');
  }
}

type InterfaceTools = {
  run: RunCommand;
  wireguardOf: (name: InterfaceName) => WireGuard;
  recordFound: (device: InterfaceName) => Promise<void>;
  journal: Journal;
};

async function applyInterfaceStep({ run, wireguardOf, recordFound, journal }: InterfaceTools, step: InterfaceStep) {
  switch (step.kind) {
    case 'create-interface':
      await wireguardOf(step.on).create();
      return;
    case 'remove-interface':
      await wireguardOf(step.on).remove();
      return;
    case 'configure-wireguard': {
      const driver = await wireguardOf(step.on).driver();
      if (driver === undefined) throw new TunnelGone();
      await driver.configure(step.listenPort);
      return;
    }
    case 'set-mtu':
      await run(['ip', 'link', 'set', 'dev', step.on, 'mtu', String(step.mtu)]);
      return;
    case 'add-interface-address':
      await run(['ip', 'address', 'add', step.address, 'dev', step.on, ...(step.on === loopback ? heldWords : [])]);
      return;
    case 'remove-interface-address':
      await run(['ip', 'address', 'delete', step.address, 'dev', step.on]);
      return;
    case 'bring-up':
      await run(['ip', 'link', 'set', 'dev', step.on, 'up']);
      return;
    case 'set-forwarding':
      await recordFound(step.device);
      await writeForwarding(step.device, step.enabled);
      return;
    case 'pick-up-flows':
      await journal.notePicksUpFlows(readPicksUpFlows);
      await writePicksUpFlows(step.enabled);
  }
}

type StepGroup =
  | { kind: 'sets'; steps: SetStep[] }
  | { kind: 'peers'; on: InterfaceName; steps: PeerStep[] }
  | { kind: 'single'; step: RestoreStep | InterfaceStep | RouteStep };

function groupSteps(steps: readonly Step[]): readonly StepGroup[] {
  const groups: StepGroup[] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    switch (step.kind) {
      case 'create-set':
      case 'destroy-set':
      case 'add-element':
      case 'remove-element':
        if (last?.kind === 'sets') last.steps.push(step);
        else groups.push({ kind: 'sets', steps: [step] });
        break;
      case 'set-peer':
      case 'remove-peer':
        if (last?.kind === 'peers' && last.on === step.on) last.steps.push(step);
        else groups.push({ kind: 'peers', on: step.on, steps: [step] });
        break;
      default:
        groups.push({ kind: 'single', step });
    }
  }
  return groups;
}
