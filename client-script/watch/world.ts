import type { Name } from '#contract/name.ts';
import type { RosterNode } from '#contract/roster.ts';
import type { Current, NodeView } from '../failover/choose.ts';
import type { Standing } from '../failover/owners.ts';
import type { Joined } from '../membership.ts';
import { type NodeMemory, newMemory } from '../node-memory.ts';
import type { Platform } from '../platform/platform.ts';
import type { StateFiles } from '../state-files.ts';

export type Watching = { platform: Platform; files: StateFiles; now: () => number; log: (line: string) => void };

/** In a new epoch nodes do not all arrive at once. */
const epochSettlesMs = 10_000;

/** What the parts of the watcher share: what this device has, what it knows of the nodes, and which one it is on. */
export class World {
  readonly watching: Watching;
  readonly closing: AbortSignal;
  current: Current;
  private having: Joined;
  /** The epoch before the bundle's, and until when nodes may still be there. */
  private past: { epoch: number; until: number } | undefined;
  private readonly memories = new Map<Name, NodeMemory>();

  constructor(watching: Watching, joined: Joined, current: Current, closing: AbortSignal) {
    this.watching = watching;
    this.having = joined;
    this.current = current;
    this.closing = closing;
  }

  get joined(): Joined {
    return this.having;
  }

  set joined(next: Joined) {
    const { epoch } = this.having.bundle;
    if (next.bundle.epoch > epoch) this.past = { epoch, until: performance.now() + epochSettlesMs };
    this.having = next;
  }

  /** What time it is for the choice of a node, and the epoch below which none is chosen. */
  moment(): { now: number; epoch: number } {
    const now = performance.now();
    const { past } = this;
    return { now, epoch: past !== undefined && now < past.until ? past.epoch : this.having.bundle.epoch };
  }

  get nodes(): readonly RosterNode[] {
    return this.joined.bundle.nodes;
  }

  get standing(): Standing {
    return { current: this.current.node, views: this.views() };
  }

  memoryOf(node: Name): NodeMemory {
    return this.memories.get(node) ?? newMemory;
  }

  remember(node: Name, memory: NodeMemory): void {
    this.memories.set(node, memory);
  }

  views(): readonly NodeView[] {
    return this.nodes.map(({ name, priority }) => {
      const { answer, isSilent } = this.memoryOf(name);
      return { name, priority, isSilent, ...(answer && { answer }) };
    });
  }
}
