import type { InterfaceName } from '#contract/network.ts';
import { concernsUs } from '../plan/events.ts';

export type EventOptions = {
  /** The interfaces that matter now. */
  devices: () => readonly InterfaceName[];
  /**
   * Something that matters may have changed, last at `at` (the steady clock's milliseconds). Called at most once in
   * `pauseMs`, and `settleMs` after the first of a burst.
   */
  onChange: (at: number) => void;
  settleMs?: number;
  pauseMs?: number;
};

/** What tells of changes: addresses, links, routes and forwarding, and rules where they are in nftables. */
const programs = [
  ['ip', '-oneline', 'monitor', 'link', 'address', 'route', 'netconf'],
  ['nft', 'monitor', 'ruleset'],
] as const;
/** One that ends is begun again, but one that cannot run is not tried all the time. */
const againAfterMs = 10_000;

/** Listens to the kernel, so that what others change is looked at at once. Where that fails, the interval remains. */
export function watchEvents({ devices, onChange, settleMs = 50, pauseMs = 1_000 }: EventOptions): { stop(): void } {
  let isStopped = false;
  let told = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;
  let last = 0;
  const children = new Set<Bun.Subprocess>();
  const timers = new Set<Timer>();

  const happened = () => {
    last = performance.now();
    if (timer !== undefined) return;
    const wait = Math.max(settleMs, told + pauseMs - performance.now());
    timer = setTimeout(() => {
      timer = undefined;
      told = performance.now();
      onChange(last);
    }, wait);
  };

  const follow = async (argv: readonly [string, ...string[]]) => {
    if (Bun.which(argv[0]) === null) return;
    // It ends with the agent, however that ends.
    const whole = ['setpriv', '--pdeathsig', 'KILL', ...argv];
    const child = Bun.spawn(whole, { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' });
    children.add(child);
    const decoder = new TextDecoder();
    let rest = '';
    for await (const part of child.stdout) {
      const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      const known = devices();
      if (lines.some((line) => concernsUs(line, known))) happened();
    }
    children.delete(child);
    if (isStopped) return;
    const again = setTimeout(() => {
      timers.delete(again);
      begin(argv);
    }, againAfterMs);
    timers.add(again);
  };
  const begin = (argv: readonly [string, ...string[]]) => void follow(argv).catch(() => undefined);

  for (const argv of programs) begin(argv);
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
      for (const one of timers) clearTimeout(one);
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
