import { afterAsking, type Counters, hear, isSuspicious, type Listening, listen } from '../failover/silence.ts';

export type AlarmEvents = {
  /** More is sent than is answered, or something comes from a node that was silent. */
  onSuspicion: () => void;
  /** The machine slept, or its clock was set. */
  onWake: () => void;
};

/** Neither clock runs like the other through a sleep; and a look that comes this late was no look for a while. */
const jumpMs = 2_000;
const restMs = 2_000;

/** Looks at what costs nothing to look at, several times a second. */
export class Alarm {
  private listening: Listening | undefined;
  private clocks: { wall: number; monotonic: number } | undefined;
  private movedAt = Number.NEGATIVE_INFINITY;

  /** When something came through the tunnel that was no answer to a probe. Monotonic milliseconds. */
  get receivedAt(): number | undefined {
    return this.listening?.receivedAt;
  }

  /** Since when something is sent that nothing answers. */
  get waitingSince(): number | undefined {
    return this.listening?.waitingSince;
  }

  /** Whether nothing passed for a while, so that nobody waits for anything. */
  isResting(monotonic: number): boolean {
    return monotonic - this.movedAt > restMs;
  }

  look(
    counters: Counters | undefined,
    { wall, monotonic }: { wall: number; monotonic: number },
    { roundTripMs, isSilent }: { roundTripMs: number | undefined; isSilent: boolean },
    { onSuspicion, onWake }: AlarmEvents,
  ): void {
    const last = this.clocks;
    this.clocks = { wall, monotonic };
    if (last !== undefined) {
      const [wallMs, monotonicMs] = [wall - last.wall, monotonic - last.monotonic];
      if (Math.abs(wallMs - monotonicMs) > jumpMs || monotonicMs > jumpMs) {
        this.listening = undefined;
        onWake();
      }
    }
    if (counters === undefined) {
      this.listening = undefined;
      return;
    }
    const before = this.listening;
    if (before?.counters.sent !== counters.sent || before.counters.received !== counters.received) {
      this.movedAt = monotonic;
    }
    this.listening = before === undefined ? listen(counters, monotonic) : hear(before, counters, monotonic);
    const isHeard = before !== undefined && this.listening.receivedAt !== before.receivedAt;
    if (isSilent ? isHeard : isSuspicious(this.listening, roundTripMs, monotonic)) onSuspicion();
  }

  /** All were asked. */
  asked(): void {
    if (this.listening !== undefined) this.listening = afterAsking(this.listening);
  }

  /** The packets go another way now. */
  switched(monotonic: number): void {
    if (this.listening !== undefined) this.listening = listen(this.listening.counters, monotonic);
  }
}
