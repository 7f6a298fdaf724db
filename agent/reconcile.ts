import type { InterfaceName } from '#contract/network.ts';
import type { Snapshot, Version } from '#contract/snapshot.ts';
import type { ObservedInterface } from '#contract/wg.ts';
import type { World } from '#policies/meaning/world.ts';
import { describeStep } from './plan/describe.ts';
import { mayNarrow, mustEnd } from './plan/flows.ts';
import { afterSteps } from './plan/model.ts';
import {
  closedNode,
  type DesiredNode,
  desiredNode,
  type NodeSelf,
  type ObservedNode,
  planNode,
  type Step,
} from './plan/node.ts';
import { understand } from './plan/understanding.ts';
import type { NodeSystem, Observation } from './system/node.ts';

/** What a pass leads to, told at once when steps were done and again after the look that checks them. */
export type PassReport = {
  applied: Version | undefined;
  drift: readonly string[];
  problem: string | undefined;
  wireguard: ObservedInterface | undefined;
  /** Looked at after the steps, not only believed. */
  isVerified: boolean;
};

export interface Reconciler {
  /**
   * A new goal; the pass under way gives way to it. Undefined closes the node. `unfit`: the other nodes, and networks of
   * theirs, that cannot be reached now.
   */
  aimFor(snapshot: Snapshot | undefined, unfit?: ReadonlySet<string>): void;
  /** The interfaces that networks lie behind. */
  devices(): readonly InterfaceName[];
  /** Something on the machine has changed: look now instead of at the next interval. */
  wake(): void;
  /** The same, if no look has begun since `at` (the steady clock's milliseconds): what we did ourselves is news to nobody. */
  wakeUnlessSeen(at: number): void;
  /** Passes until stopped: for each new goal, and by itself every `everyMs`. */
  run(): Promise<void>;
  stop(): void;
}

export type ReconcilerOptions = {
  system: NodeSystem;
  self: NodeSelf;
  everyMs: number;
  /** Resolves when the report is delivered or given up. */
  report: (report: PassReport) => Promise<void>;
  /** What was seen once the steps towards a goal were done. */
  onSeen?: (desired: DesiredNode, seen: Observation) => void;
  /** How long a pass took, and whether it came to its end. */
  onPass?: (seconds: number, isDone: boolean) => void;
  log: (line: string) => void;
};

const reportHeadStartMs = 100;

type Goal = {
  snapshot: Snapshot | undefined;
  world: World | undefined;
  desired: DesiredNode;
  devices: readonly InterfaceName[];
};

/** The plan still had steps after it was applied: something undoes them, or the kernel took them otherwise. */
export class Unsettled extends Error {
  override readonly name = 'Unsettled';
  readonly code = 'unsettled';

  constructor(steps: readonly Step[]) {
    super(`the node does not stay as it was made: still to do: ${steps.slice(0, 3).map(describeStep).join('; ')}`);
  }
}

/**
 * The loop. A pass reads everything, applies the difference and reads again; it never depends on why it was started,
 * so a missed notice costs one interval and a crash half-way is repaired by the next pass.
 *
 * One shortcut: a new goal is planned from what the last pass has seen, applied and reported, and only then looked at.
 * So a revocation waits for no observation.
 */
export function createReconciler({
  system,
  self,
  everyMs,
  report,
  onSeen,
  onPass,
  log,
}: ReconcilerOptions): Reconciler {
  let goal = goalOf(undefined, self);
  let reached: Goal | undefined;
  let belief: ObservedNode | undefined;
  let problem: string | undefined;
  /** What this pass has repaired, in words. */
  let repaired: readonly string[] = [];
  let wake = Promise.withResolvers<'wake'>();
  /** The goal whose narrowing has ended the flows that it forbids. */
  let narrowed: Goal | undefined;
  let failures = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isStopped = false;

  const applied = () => (reached?.desired.tunnel === undefined ? undefined : versionOf(reached.snapshot));
  const tell = (wireguard: ObservedInterface | undefined, drift: readonly string[], isVerified: boolean) =>
    report({ applied: applied(), drift, problem, wireguard, isVerified });

  const carryOut = async (from: ObservedNode, steps: readonly Step[], towards: Goal) => {
    belief = undefined;
    await system.apply(steps);
    belief = afterSteps(from, steps, self);
    reached = towards;
  };

  const shortcut = async (towards: Goal) => {
    const known = belief;
    if (known === undefined || towards === reached) return;
    if (towards.devices.some((device) => !known.tunnel.forwarding.has(device))) return;
    try {
      await carryOut(known, planNode(known, towards.desired, self, Date.now()), towards);
    } catch (error) {
      // The node is not as it was last seen. What follows looks first.
      log(messageOf(error));
      return;
    }
    problem = problemOf(towards, known);
    // Looking starts five programs, which would hold the report up.
    await Promise.race([tell(undefined, [], false), wake.promise, Bun.sleep(reportHeadStartMs)]);
  };

  /** Once a goal is reached, the flows that began before it and that it forbids are ended. */
  const endForbidden = async (towards: Goal) => {
    if (towards !== reached || towards === narrowed) return;
    const { snapshot, world } = towards;
    if (snapshot !== undefined && world !== undefined && mayNarrow(narrowed?.snapshot, snapshot)) {
      const now = Date.now();
      const count = await system.endFlows((flow) => mustEnd(world, self.node, flow, now));
      if (count > 0) log(`ended ${count} running flows that are not allowed any more`);
    }
    narrowed = towards;
  };

  const observe = (towards: Goal) => {
    lookedAt = performance.now();
    return system.observe(towards.devices);
  };

  /** Gives up looking when a newer goal comes: looking changes nothing, and the goal should not wait. */
  const look = async (towards: Goal) => {
    const looking = observe(towards);
    const first = await Promise.race([looking, wake.promise]);
    if (first !== 'wake') return first;
    looking.catch(() => undefined);
    return undefined;
  };

  const pass = async () => {
    const towards = goal;
    repaired = [];
    await shortcut(towards);
    await endForbidden(towards);
    const isRepair = towards === reached;
    const seen = await look(towards);
    if (seen === undefined) return;
    const steps = planNode(seen.node, towards.desired, self, Date.now());
    let { wireguard } = seen;
    belief = seen.node;
    if (steps.length === 0) onSeen?.(towards.desired, seen);
    else {
      await carryOut(seen.node, steps, towards);
      if (isRepair) repaired = steps.slice(0, 100).map(describeStep);
      for (const step of steps) log(`${isRepair ? 'repaired' : 'done'}: ${describeStep(step)}`);
      const after = await observe(towards);
      onSeen?.(towards.desired, after);
      belief = after.node;
      wireguard = after.wireguard;
      const remaining = planNode(after.node, towards.desired, self, Date.now());
      if (remaining.length > 0) throw new Unsettled(remaining);
    }
    reached = towards;
    await endForbidden(towards);
    problem = problemOf(towards, belief);
    tell(wireguard, repaired, true);
  };

  return {
    aimFor(snapshot, unfit) {
      const next = goalOf(snapshot, self, unfit);
      // What cannot be reached matters only where something is led through it.
      if (unfit !== undefined && snapshot === goal.snapshot && Bun.deepEquals(next.desired.mesh, goal.desired.mesh))
        return;
      goal = next;
      wake.resolve('wake');
    },

    devices: () => goal.devices,

    wake: () => wake.resolve('wake'),

    wakeUnlessSeen(at) {
      if (at > lookedAt) wake.resolve('wake');
    },

    async run() {
      while (!isStopped) {
        wake = Promise.withResolvers();
        const began = performance.now();
        try {
          await pass();
          failures = 0;
        } catch (error) {
          belief = undefined;
          problem = messageOf(error);
          log(problem);
          tell(undefined, repaired, false);
          failures += 1;
        }
        onPass?.((performance.now() - began) / 1000, failures === 0);
        const pauseMs = failures === 0 ? everyMs : Math.min(everyMs, 500 * 2 ** failures);
        if (!isStopped) await Promise.race([wake.promise, Bun.sleep(pauseMs)]);
      }
    },

    stop() {
      isStopped = true;
      wake.resolve('wake');
    },
  };
}

function goalOf(snapshot: Snapshot | undefined, self: NodeSelf, unfit?: ReadonlySet<string>): Goal {
  const meaning = snapshot && understand(snapshot);
  // What cannot be understood was refused before it came here; a node without a goal is closed.
  const desired = snapshot && meaning?.ok ? desiredNode(snapshot, meaning.world, self, unfit) : closedNode(self);
  const world = meaning?.ok ? meaning.world : undefined;
  return { snapshot, world, desired, devices: desired.tunnel?.forwarding ?? [] };
}

/** Trouble that keeps nothing else from being in force. */
function problemOf({ snapshot, desired, devices }: Goal, observed: ObservedNode): string | undefined {
  if (snapshot !== undefined && desired.tunnel === undefined) return 'this node is not in the snapshot: it is closed';
  const missing = devices.filter((device) => !observed.tunnel.forwarding.has(device));
  if (missing.length === 0) return undefined;
  return `no interface ${missing.join(', ')} on this machine: the networks behind it cannot be reached`;
}

function versionOf(snapshot: Snapshot | undefined): Version | undefined {
  return snapshot && { epoch: snapshot.epoch, revision: snapshot.revision };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
