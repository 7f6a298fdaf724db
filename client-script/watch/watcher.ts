import { chooseNode } from '../failover/choose.ts';
import { startingNode } from '../failover/owners.ts';
import { messageOf } from '../failure.ts';
import type { Joined } from '../membership.ts';
import { isFreshSilence } from '../node-memory.ts';
import { interfaceName } from '../tunnel.ts';
import type { WatchReport } from '../watch-report.ts';
import { Alarm } from './alarm.ts';
import { Asking } from './asking.ts';
import { OutageBook } from './outage-book.ts';
import { Switching } from './switching.ts';
import { TunnelKeeper } from './tunnel-keeper.ts';
import { Updates } from './updates.ts';
import { type Watching, World } from './world.ts';

const tickMs = 100;
/** While nothing passes through the tunnel. */
const restingTickMs = 250;
const upkeepMs = 5_000;
/** Until the next look at a node that did not answer for the first time. */
const secondLookMs = 500;
/** Where the system says what changes, the rest is looked at this often. */
const repairMs = 30_000;
const changePauseMs = 1_000;
const changeSettlesMs = 50;

/** Keeps the tunnel as the bundle says and on the node that is best, until it is closed. */
export class Watcher {
  private readonly closing = new AbortController();
  private readonly world: World;
  private readonly keeper: TunnelKeeper;
  private readonly updates: Updates;
  private readonly asking: Asking;
  private readonly switching: Switching;
  private readonly outages: OutageBook;
  private readonly alarm = new Alarm();
  private isTold = false;
  private upkeepAt = 0;
  private upkeeping: Promise<void> | undefined;
  private repairAt = 0;
  private changedAt = Number.NEGATIVE_INFINITY;
  private isChanging = false;
  private lastSaid = '';

  static async open(watching: Watching, joined: Joined): Promise<Watcher> {
    const stored = await watching.files.active();
    const names = joined.bundle.nodes.map(({ name }) => name);
    const isThere = stored !== undefined && names.includes(stored.node);
    const node = isThere ? stored.node : startingNode(joined.bundle, new Set(joined.membership.reached));
    return new Watcher(watching, joined, node ?? '', await OutageBook.open(watching.files));
  }

  private constructor(watching: Watching, joined: Joined, node: string, outages: OutageBook) {
    // What was chosen before this watcher began is judged anew.
    this.world = new World(watching, joined, { node, since: Number.NEGATIVE_INFINITY }, this.closing.signal);
    this.keeper = new TunnelKeeper(this.world);
    this.updates = new Updates(this.world, this.keeper);
    this.outages = outages;
    this.asking = new Asking(this.world, {
      onRound: () => this.judge(),
      onAnswer: ({ name }) => {
        this.noteReached(name).catch((error) => this.say(messageOf(error)));
        if (this.updates.isOffered()) this.wantUpkeep();
      },
    });
    this.switching = new Switching(this.world, this.keeper, this.asking, this.alarm, outages);
  }

  /** @param isHeld whether this process is still the one that watches. */
  async run(isHeld: () => Promise<boolean>): Promise<void> {
    const { platform } = this.world.watching;
    this.isTold = platform.watchNetwork(() => this.noteChange(), this.closing.signal);
    await this.upkeep();
    this.ask();
    let ticking: NodeJS.Timeout | undefined;
    const tick = () => {
      this.tick();
      ticking = setTimeout(tick, this.alarm.isResting(performance.now()) ? restingTickMs : tickMs);
    };
    tick();
    try {
      await new Promise<void>((resolve) => {
        this.closing.signal.addEventListener('abort', () => resolve());
        if (this.closing.signal.aborted) resolve();
        this.onUpkeep = async () => {
          if (!(await isHeld().catch(() => true))) resolve();
        };
      });
    } finally {
      clearTimeout(ticking);
      this.close();
      await this.upkeeping;
    }
  }

  private onUpkeep: () => Promise<void> = async () => undefined;

  /** Ends what is under way as soon as can be. */
  close(): void {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.asking.close();
  }

  private tick(): void {
    const { platform, now } = this.world.watching;
    const monotonic = performance.now();
    const { roundTripMs, isSilent } = this.world.memoryOf(this.world.current.node);
    const all = platform.counters(interfaceName);
    const { sent, received } = this.asking.counts;
    this.alarm.look(
      all && { sent: all.sent - sent, received: all.received - received },
      { wall: now(), monotonic },
      { roundTripMs, isSilent },
      {
        onSuspicion: () => {
          if (!this.asking.isRoundUnderWay) this.ask();
        },
        onWake: () => this.noteChange(),
      },
    );
    this.asking.tick(monotonic);
    if (this.upkeeping === undefined && monotonic >= this.upkeepAt) this.upkeep();
  }

  private ask(): void {
    this.asking.askAll().catch((error) => this.say(messageOf(error)));
  }

  /** After all were asked. */
  private async judge(): Promise<void> {
    const { current, joined } = this.world;
    const choice = chooseNode(current, this.world.views(), this.world.moment());
    try {
      if (choice.node !== undefined && choice.cause !== undefined) {
        await this.switching.switchTo(choice.node, choice.cause);
        await this.report([]);
      } else await this.keeper.hand();
    } catch (error) {
      this.repairAt = 0;
      this.say(messageOf(error));
    }
    this.alarm.asked();
    const isPuzzled = joined.bundle.nodes.some(({ name }) => {
      const { isSilent, silence } = this.world.memoryOf(name);
      return isSilent && silence === undefined;
    });
    if (isPuzzled) this.wantUpkeep();
  }

  /** Another network, another address, or awake again. */
  private noteChange(): void {
    if (this.isChanging || this.closing.signal.aborted) return;
    this.isChanging = true;
    const waitMs = Math.max(changeSettlesMs, this.changedAt + changePauseMs - performance.now());
    setTimeout(() => {
      this.isChanging = false;
      this.changedAt = performance.now();
      this.repairAt = 0;
      this.wantUpkeep();
      this.keeper
        .renewDeadSessions()
        .then(() => this.asking.askAll())
        .catch((error) => this.say(messageOf(error)));
    }, waitMs).unref();
  }

  /** Now; when it is being done, once more after that. */
  private wantUpkeep(): void {
    this.upkeepAt = 0;
    if (this.upkeeping === undefined && !this.closing.signal.aborted) this.upkeep();
  }

  /** Repairs what is not as it should be, takes over what is newer, tells what was seen. */
  private upkeep(): Promise<void> {
    this.upkeepAt = Number.POSITIVE_INFINITY;
    this.upkeeping = this.doUpkeep().finally(() => {
      const isPuzzled = this.world.nodes.some(({ name }) => isFreshSilence(this.world.memoryOf(name)));
      const pauseMs = (isPuzzled ? secondLookMs : upkeepMs) * (0.8 + 0.4 * Math.random());
      this.upkeepAt = Math.min(this.upkeepAt, performance.now() + pauseMs);
      this.upkeeping = undefined;
    });
    return this.upkeeping;
  }

  private async doUpkeep(): Promise<void> {
    const problems: string[] = [];
    try {
      if (performance.now() >= this.repairAt) {
        await this.keeper.repair();
        this.repairAt = performance.now() + (this.isTold ? repairMs : 0);
      }
      await this.keeper.repairSilentNodes();
      if (await this.updates.renew(problems)) {
        await this.keeper.repair();
        this.ask();
      }
      await this.tellOutages();
      const { node } = this.world.current;
      if (chooseNode(this.world.current, this.world.views(), this.world.moment()).node !== node) this.ask();
    } catch (error) {
      this.repairAt = 0;
      problems.push(messageOf(error));
    }
    if (this.closing.signal.aborted) return;
    this.say(problems.join('; '));
    await this.report(problems).catch((error) => this.world.watching.log(messageOf(error)));
    await this.onUpkeep();
  }

  /** Untold outages are no problem of the tunnel's: a node of older software does not take them. */
  private async tellOutages(): Promise<void> {
    const { current, nodes, joined, closing } = this.world;
    const here = nodes.find(({ name }) => name === current.node);
    if (here === undefined || this.world.memoryOf(here.name).answer === undefined) return;
    const to = { tunnelAddress: here.tunnelAddress, from: joined.bundle.address };
    await this.outages.tell(to, performance.now(), closing).catch(() => undefined);
  }

  private say(said: string): void {
    if (said === this.lastSaid || this.closing.signal.aborted) return;
    this.world.watching.log(said === '' ? 'all is well again' : said);
    this.lastSaid = said;
  }

  private async noteReached(name: string): Promise<void> {
    const { membership } = this.world.joined;
    if (membership.reached.includes(name)) return;
    const next = { ...membership, reached: [...membership.reached, name] };
    this.world.joined = { ...this.world.joined, membership: next };
    await this.world.watching.files.saveMembership(next);
  }

  private async report(problems: readonly string[]): Promise<void> {
    const { files, now } = this.world.watching;
    const report: WatchReport = {
      at: new Date(now()).toISOString(),
      pid: process.pid,
      active: this.world.current.node,
      nodes: this.world.nodes.map(({ name }) => {
        const { answer, roundTripMs, isSilent } = this.world.memoryOf(name);
        const isAnswering = answer !== undefined && !isSilent;
        return {
          name,
          isAnswering,
          isHealthy: isAnswering && answer.healthy,
          isDraining: answer?.draining ?? false,
          vrrp: answer?.vrrp ?? null,
          holdsVip: answer?.vip ?? false,
          rttMs: !isAnswering || roundTripMs === undefined ? null : Math.round(roundTripMs * 10) / 10,
        };
      }),
      problems: [...problems],
    };
    await files.saveReport(report);
  }
}
