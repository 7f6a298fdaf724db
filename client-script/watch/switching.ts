import type { Name } from '#contract/name.ts';
import type { SwitchCause } from '#contract/outage.ts';
import { causes } from '../screen-text.ts';
import type { Alarm } from './alarm.ts';
import type { Asking } from './asking.ts';
import type { OutageBook } from './outage-book.ts';
import type { TunnelKeeper } from './tunnel-keeper.ts';
import type { World } from './world.ts';

/** Something sent so long after the last thing that came was not sent in the middle of an exchange. */
const restMs = 500;

/** Changes nodes, and writes down what that was like. */
export class Switching {
  private readonly world: World;
  private readonly keeper: TunnelKeeper;
  private readonly asking: Asking;
  private readonly alarm: Alarm;
  private readonly outages: OutageBook;

  constructor(world: World, keeper: TunnelKeeper, asking: Asking, alarm: Alarm, outages: OutageBook) {
    this.world = world;
    this.keeper = keeper;
    this.asking = asking;
    this.alarm = alarm;
    this.outages = outages;
  }

  async switchTo(to: Name, cause: SwitchCause): Promise<void> {
    const { files, now, log } = this.world.watching;
    const from = this.world.current.node;
    const beganAt = this.beginning(from);
    this.world.current = { node: to, since: performance.now() };
    await this.keeper.hand();
    const at = new Date(now()).toISOString();
    const heardAt = await this.asking.hearFrom(to);
    this.alarm.switched(performance.now());
    const gapMilliseconds = Math.max(0, Math.round(heardAt - beganAt));
    log(
      `${to} has the packets now, and no longer ${from}, which is ${causes[cause]}; ${gapMilliseconds} ms without an answer`,
    );
    await files.saveActive({ node: to, since: at, cause });
    await this.outages.add({ at, from, to, cause, gapMilliseconds });
  }

  /**
   * When the last packet came before the change; or, where nothing was under way then, when the first was sent that nobody
   * answered.
   */
  private beginning(from: Name): number {
    const { answeredAt, answer } = this.world.memoryOf(from);
    const { receivedAt, waitingSince } = this.alarm;
    if (waitingSince !== undefined && receivedAt !== undefined) {
      return waitingSince - receivedAt > restMs ? waitingSince : receivedAt;
    }
    return answer === undefined ? this.asking.beganAt : (answeredAt ?? performance.now());
  }
}
