import { networkInterfaces } from 'node:os';
import type { InterfaceName } from '#contract/network.ts';
import type { Keepalived } from '../services/keepalived-run.ts';
import { judge } from './judge.ts';
import { isIsolated, seenHolder } from './neighbours.ts';
import { type Daemons, openObserver } from './observe.ts';
import { openProber } from './prober.ts';
import { isNews, mayHold, type Standing, vrrpState } from './standing.ts';
import { settled, unfitOf } from './unfit.ts';
import type { Watched } from './watched.ts';

/** Watches whether this node counts, and has keepalived know it. */
export interface HealthWatch {
  aimFor(watched: Watched | undefined): void;
  /** After each pass: whether the rules and peers of a snapshot are in force, and whether they are those of the newest. */
  passed(isInForce: boolean, isNewest: boolean): void;
  /** Undefined before the first pass, and until everything was asked once: until then nothing is known. */
  standing(): Standing | undefined;
  stop(): void;
}

export type HealthWatchOptions = {
  node: string;
  tunnel: InterfaceName;
  keepalived: Keepalived;
  daemons: Daemons;
  /** `isNews`: devices should ask again at once. */
  onChange: (standing: Standing, isNews: boolean) => void;
  /** Which other nodes (`n2`), and which networks of theirs (`n2 internal`), cannot be reached: after each change of that. */
  onUnfit: (unfit: ReadonlySet<string>) => void;
  /** The kernel forwards no packets that it should forward. */
  onForwardingOff: () => void;
  log: (line: string) => void;
};

const lookEveryMs = 100;
/** A few lost answers lead no traffic elsewhere. */
const unfitSettlesMs = 1_000;
/** What does not answer at the beginning is waited for no longer than this. */
const askedWithinMs = 1_500;

export function watchHealth(options: HealthWatchOptions): HealthWatch {
  const { node, tunnel, keepalived, onChange, onForwardingOff, log } = options;
  const observer = openObserver(tunnel, options.daemons);
  const prober = openProber(log);
  let watched: Watched | undefined;
  let isInForce: boolean | undefined;
  let standing: Standing | undefined;
  const beganAt = performance.now();
  let isForwarding = true;
  const unfit = settled(unfitSettlesMs, options.onUnfit);

  const look = () => {
    keepalived.look();
    if (watched === undefined || isInForce === undefined) return;
    if (standing === undefined && !observer.hasAsked() && performance.now() - beganAt < askedWithinMs) return;
    const heard = prober.heard();
    unfit.look(unfitOf(watched.others.keys(), heard), performance.now());
    const { forwardsNow, ...findings } = observer.look(heard);
    if (!forwardsNow && isForwarding) onForwardingOff();
    isForwarding = forwardsNow;

    const verdict = judge({ isInForce, ...findings });
    const { draining, drained, priority, vip } = watched;
    const others = heard.map(({ node, healthy }) => ({ healthy, draining: drained.has(node) }));
    const allowed = mayHold({ ...verdict, draining }, others);
    const moves = keepalived.isWanted() && vip !== undefined;
    if (moves) keepalived.allow(allowed, isIsolated(prober.all(), performance.now()));
    const next: Standing = { ...verdict, draining, priority, ...(moves ? ofVrrp(vip, allowed) : {}) };
    const sees = moves ? seenHolder({ node, ...next }, heard) : undefined;
    tell(sees === undefined ? next : { ...next, sees });
  };
  const ofVrrp = (vip: string, allowed: boolean) => {
    const hasAddress = networkInterfaces()[tunnel]?.some(({ address }) => address === vip) ?? false;
    return { vrrp: vrrpState({ ...keepalived.speaker(), mayHold: allowed, hasAddress }), vip: hasAddress };
  };
  const tell = (next: Standing) => {
    const before = standing;
    if (JSON.stringify(before) === JSON.stringify(next)) return;
    standing = next;
    for (const line of changes(before, next)) log(line);
    onChange(next, isNews(before, next));
  };
  const timer = setInterval(() => {
    try {
      look();
    } catch (error) {
      log(`looking at this node's health: ${error instanceof Error ? error.message : String(error)}`);
    }
  }, lookEveryMs);

  return {
    aimFor(next) {
      watched = next;
      if (next === undefined) observer.aimFor(undefined);
      prober.aimFor(next?.mesh, next?.others ?? new Map());
      look();
    },
    passed(isSo, isNewest) {
      isInForce = isSo;
      // What it needs of the machine is there from now on.
      if (isNewest) observer.aimFor(watched);
      look();
    },
    standing: () => standing,
    stop() {
      clearInterval(timer);
      observer.stop();
      prober.stop();
    },
  };
}

/** What changed, in words for the log. */
function changes(before: Standing | undefined, after: Standing): readonly string[] {
  const reasons = after.reasons.join('; ');
  return [
    ...(before?.healthy === after.healthy && before.reasons.join('; ') === reasons
      ? []
      : [after.healthy ? 'this node counts: it is healthy' : `this node does not count: ${reasons}`]),
    ...(before?.vrrp === after.vrrp || after.vrrp === undefined ? [] : [`VRRP: ${after.vrrp}`]),
    ...(before?.unreachable.join() === after.unreachable.join() ||
    (before === undefined && after.unreachable.length === 0)
      ? []
      : [`networks that cannot be reached from here: ${after.unreachable.join(', ') || 'none'}`]),
  ];
}
