import type { InterfaceName } from '#contract/network.ts';
import type { ObservedInterface } from '#contract/wg.ts';
import type { Flow } from '../formats/conntrack.ts';
import type { SetStep } from '../formats/ipset-save.ts';
import type { RestoreStep } from '../plan/firewall.ts';
import type { InterfaceStep } from '../plan/interface.ts';
import type { ObservedNode, Step } from '../plan/node.ts';
import type { PeerStep } from '../plan/peers.ts';
import type { RunCommand } from './command.ts';
import { missingFeatures } from './features.ts';
import { applyRestore, applySetSteps, endFlows, observeFirewall, removeEmptiedTables, tablesOf } from './firewall.ts';
import { type Journal, openJournal } from './journal.ts';
import { observeLink, readForwarding, readPicksUpFlows, writeForwarding, writePicksUpFlows } from './link.ts';
import type { WireGuard } from './wireguard.ts';

/** This machine's part that we look at and change. */
export interface NodeSystem {
  /** `devices` are the interfaces whose forwarding matters. */
  observe(devices: readonly InterfaceName[]): Promise<{ node: ObservedNode; wireguard: ObservedInterface | undefined }>;
  /** Steps in their order; neighbours of one kind go in one command. */
  apply(steps: readonly Step[]): Promise<void>;
  /** Ends running flows. @returns how many. */
  endFlows(mustEnd: (flow: Flow) => boolean): Promise<number>;
  /** Tries out what a policy needs of the kernel, before anything of ours stands. @returns what is missing. */
  missingFeatures(): Promise<readonly string[]>;
  /** Puts back what no step does: tables that only we made, and how flows are picked up. Forgets what was found. */
  finish(): Promise<void>;
}

export type NodeSystemOptions = {
  run: RunCommand;
  wireguard: WireGuard;
  name: InterfaceName;
  /** Where the forwarding that was found is written down, before it is changed. */
  journal: string;
};

export function openNodeSystem({ run, wireguard, name, journal: path }: NodeSystemOptions): NodeSystem {
  const journal = openJournal(path);
  const recordFound = async (device: InterfaceName) => {
    if (device !== name) await journal.noteForwarding(device, () => readForwarding(device));
  };

  return {
    async observe(devices) {
      const known = await journal.forwarding();
      const [firewall, link, forwarding, picksUpFlows] = await Promise.all([
        observeFirewall(run),
        observeTunnel(run, wireguard, name),
        observeForwarding([name, ...devices, ...known.keys()]),
        readPicksUpFlows(),
      ]);
      const { wg, ...rest } = link ?? { wg: undefined };
      return {
        node: {
          firewall,
          tunnel: {
            link: wg && 'mtu' in rest ? { publicKey: wg.publicKey, listenPort: wg.listenPort, ...rest } : undefined,
            forwarding,
            picksUpFlows,
          },
          peers: wg?.peers ?? [],
          foundForwarding: known,
        },
        wireguard: wg,
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
        else if (group.kind === 'peers') await applyPeers(wireguard, group.steps);
        else if (group.step.kind === 'restore-rules') {
          await journal.noteTables(() => tablesOf(run));
          await applyRestore(run, group.step);
        } else await applyInterfaceStep({ run, wireguard, name, recordFound, journal }, group.step);
      }
    },
  };
}

async function observeTunnel(run: RunCommand, wireguard: WireGuard, name: InterfaceName) {
  const driver = await wireguard.driver();
  if (driver === undefined) return undefined;
  const [wg, link] = await Promise.all([driver.observe(), observeLink(run, name)]);
  return { wg, ...link };
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

/** The tunnel's interface went away between looking and changing. The next pass makes it again. */
export class TunnelGone extends Error {
  override readonly name = 'TunnelGone';
  readonly code = 'tunnel-gone';

  constructor() {
    super('the tunnel interface went away while it was being changed');
  }
}

type InterfaceTools = {
  run: RunCommand;
  wireguard: WireGuard;
  name: InterfaceName;
  recordFound: (device: InterfaceName) => Promise<void>;
  journal: Journal;
};

async function applyInterfaceStep({ run, wireguard, name, recordFound, journal }: InterfaceTools, step: InterfaceStep) {
  switch (step.kind) {
    case 'create-interface':
      await wireguard.create();
      return;
    case 'configure-wireguard': {
      const driver = await wireguard.driver();
      if (driver === undefined) throw new TunnelGone();
      await driver.configure(step.listenPort);
      return;
    }
    case 'set-mtu':
      await run(['ip', 'link', 'set', 'dev', name, 'mtu', String(step.mtu)]);
      return;
    case 'add-interface-address':
      await run(['ip', 'address', 'add', step.address, 'dev', name]);
      return;
    case 'remove-interface-address':
      await run(['ip', 'address', 'delete', step.address, 'dev', name]);
      return;
    case 'bring-up':
      await run(['ip', 'link', 'set', 'dev', name, 'up']);
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
  | { kind: 'peers'; steps: PeerStep[] }
  | { kind: 'single'; step: RestoreStep | InterfaceStep };

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
        if (last?.kind === 'peers') last.steps.push(step);
        else groups.push({ kind: 'peers', steps: [step] });
        break;
      default:
        groups.push({ kind: 'single', step });
    }
  }
  return groups;
}
