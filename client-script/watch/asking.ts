import { setTimeout as timer } from 'node:timers/promises';
import type { Name } from '#contract/name.ts';
import type { RosterNode } from '#contract/roster.ts';
import { answerLimit } from '../failover/round-trip.ts';
import { afterAnswer, afterSilence, isChanged } from '../node-memory.ts';
import { type Answered, openProber, type Prober } from '../probe.ts';
import type { World } from './world.ts';

const intervalMs = 5_000;
/** A silent node is asked more often: the device may be waiting for it. */
const silentIntervalMs = 1_000;
const burst = 4;
const apartMs = 50;
/** An answer counts as one for this long, the least in which it counts as in time. */
const leastLimitMs = 150;
/** In time of a node that never answered before: the session may have to be made first. */
const firstLimitMs = 1_000;
const lifeMs = 3_000;
/** When the current node has answered, or has not, the others are waited for no longer than this. */
const othersLimitMs = 100;
const leastPauseMs = 100;
const hintPauseMs = 200;
/** Ten thousand devices that hear the same hint do not ask in the same moment. */
const hintSpreadMs = 50;
const troublePauseMs = 1_000;

export type AskingEvents = {
  /** All were asked, and what they said, or did not say, is known. */
  onRound: () => Promise<void>;
  /** A node answered. */
  onAnswer: (node: RosterNode, answered: Answered) => void;
};

/**
 * Asks the nodes: each now and then, and all together at once (a round) when there is reason to.
 */
export class Asking {
  private readonly world: World;
  private readonly events: AskingEvents;
  private prober: { address: string; open: Prober } | undefined;
  private readonly due = new Map<Name, number>();
  private readonly beingAsked = new Set<Name>();
  private round: Promise<void> | undefined;
  private isWantedAgain = false;
  /** All are being asked, and what they say is not judged yet. */
  private isCollecting = false;
  private roundAt = Number.NEGATIVE_INFINITY;
  private isSoon = false;

  constructor(world: World, events: AskingEvents) {
    this.world = world;
    this.events = events;
  }

  /** Datagrams of the prober, which are no traffic of this device. */
  get counts(): Prober['counts'] {
    return this.prober?.open.counts ?? { sent: 0, received: 0 };
  }

  get isRoundUnderWay(): boolean {
    return this.round !== undefined;
  }

  /** Asks whoever is due. */
  tick(now: number): void {
    for (const node of this.world.nodes) {
      const due = this.due.get(node.name) ?? now;
      if (now < due || this.beingAsked.has(node.name)) continue;
      this.putOff(node.name, now);
      this.askOnce(node).catch(() => undefined);
    }
  }

  /** All nodes, now; when they are being asked already, once more after that. */
  askAll(): Promise<void> {
    if (this.world.closing.aborted) return Promise.resolve();
    if (this.round !== undefined) {
      this.isWantedAgain = true;
      return this.round;
    }
    this.round = this.runRounds().finally(() => {
      this.round = undefined;
    });
    return this.round;
  }

  /** When the first question of this round, or the last one, was asked. */
  get beganAt(): number {
    return this.roundAt;
  }

  /** Asks a node once more. @returns when it answered, or when it could have. */
  async hearFrom(name: Name): Promise<number> {
    const node = this.world.nodes.find((one) => one.name === name);
    if (node !== undefined && this.prober !== undefined) {
      await this.prober.open.ask(node.tunnelAddress, this.limitFor(name));
    }
    return performance.now();
  }

  close(): void {
    this.prober?.open.close();
  }

  private async runRounds(): Promise<void> {
    do {
      this.isWantedAgain = false;
      const waitMs = this.roundAt + leastPauseMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      this.roundAt = performance.now();
      this.isCollecting = true;
      await this.runRound().finally(() => {
        this.isCollecting = false;
      });
      if (!this.world.closing.aborted) await this.events.onRound();
    } while (this.isWantedAgain && !this.world.closing.aborted);
  }

  private async runRound(): Promise<void> {
    const prober = await this.openProber();
    const { nodes, current } = this.world;
    const wasSilent = (name: Name) => this.world.memoryOf(name).isSilent;
    const asked = nodes.map((node) => ({
      name: node.name,
      isLost: wasSilent(node.name),
      over: this.inquire(prober, node),
    }));
    await asked.find(({ name }) => name === current.node)?.over;
    const others = Promise.all(asked.filter(({ isLost }) => !isLost).map(({ over }) => over));
    await Promise.race([others, pause(this.world.memoryOf(current.node).answer ? othersLimitMs : firstLimitMs)]);
  }

  /** Several probes to one node, until it answers. */
  private async inquire(prober: Prober, node: RosterNode): Promise<void> {
    const { name, tunnelAddress } = node;
    const limitMs = this.limitFor(name);
    const beganAt = performance.now();
    this.beingAsked.add(name);
    this.putOff(name, beganAt);
    let isAnswered = false;
    let wake = () => {};
    const answered = new Promise<void>((resolve) => {
      wake = resolve;
    });
    for (let sent = 1; sent <= burst && !isAnswered; sent += 1) {
      prober.ask(tunnelAddress, lifeMs).then((heard) => {
        if (heard === undefined) return;
        isAnswered = true;
        this.hear(node, heard);
        wake();
      });
      await within(answered, sent === burst ? limitMs : apartMs);
    }
    this.beingAsked.delete(name);
    const memory = this.world.memoryOf(name);
    if (isAnswered || (memory.answeredAt ?? Number.NEGATIVE_INFINITY) >= beganAt) return;
    this.world.remember(name, afterSilence(memory));
    if (!memory.isSilent) this.askAgain();
  }

  /** One probe; when it is lost, all are asked. */
  private async askOnce(node: RosterNode): Promise<void> {
    const prober = await this.openProber();
    const answer = prober.ask(node.tunnelAddress, lifeMs).then((heard) => {
      if (heard !== undefined) this.hear(node, heard);
      return heard !== undefined;
    });
    const isInTime = await Promise.race([answer, pause(this.limitFor(node.name)).then(() => false)]);
    if (!isInTime && !this.world.memoryOf(node.name).isSilent) await this.askAll();
  }

  private hear(node: RosterNode, answered: Answered): void {
    if (this.world.closing.aborted || answered.answer.node !== node.name) return;
    const before = this.world.memoryOf(node.name);
    const after = afterAnswer(before, answered, performance.now());
    this.world.remember(node.name, after);
    this.events.onAnswer(node, answered);
    if (isChanged(before, after)) this.askAgain();
  }

  /** What is news of one may be told by all. In a round all are being asked, and it is judged with the others. */
  private askAgain(): void {
    if (!this.isCollecting) this.askAll().catch(() => undefined);
  }

  private limitFor(name: Name): number {
    const { roundTripMs } = this.world.memoryOf(name);
    return roundTripMs === undefined ? firstLimitMs : answerLimit(roundTripMs, leastLimitMs);
  }

  private putOff(name: Name, now: number): void {
    const interval = this.world.memoryOf(name).isSilent ? silentIntervalMs : intervalMs;
    this.due.set(name, now + interval * (0.8 + 0.4 * Math.random()));
  }

  private async openProber(): Promise<Prober> {
    const { address } = this.world.joined.bundle;
    if (this.prober?.address === address) return this.prober.open;
    this.prober?.open.close();
    this.prober = undefined;
    const open = await openProber(address, {
      onHint: (from) => {
        if (this.world.nodes.some(({ tunnelAddress }) => tunnelAddress === from)) this.askSoon(hintPauseMs);
      },
      onTrouble: () => this.askSoon(troublePauseMs),
    });
    this.prober = { address, open };
    // Closed while it was being opened.
    if (this.world.closing.aborted) open.close();
    return open;
  }

  /** For reasons that come in swarms. */
  private askSoon(pauseMs: number): void {
    if (this.isSoon) return;
    this.isSoon = true;
    const waitMs = Math.max(0, this.roundAt + pauseMs - performance.now()) + hintSpreadMs * Math.random();
    setTimeout(() => {
      this.isSoon = false;
      this.askAll().catch(() => undefined);
    }, waitMs).unref();
  }
}

/** Holds nobody up who wants to end. */
function pause(ms: number): Promise<void> {
  return timer(ms, undefined, { ref: false });
}

/** Until it happens, or for so long. */
async function within(event: Promise<void>, limitMs: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([event, timer(limitMs, undefined, { signal: over.signal, ref: false }).catch(() => undefined)]);
  over.abort();
}
