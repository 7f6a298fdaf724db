import type { VrrpState } from '#contract/probe.ts';
import type { Verdict } from './judge.ts';

/** What a node tells of itself to whoever asks. `vrrp`, `vip` and `sees` are absent where nothing moves between nodes. */
export type Standing = Verdict & {
  draining: boolean;
  priority: number;
  vrrp?: VrrpState;
  vip?: boolean;
  sees?: string;
};

/** What is known about the process that speaks VRRP, and what the kernel holds. */
export type VrrpObservation = { isAlive: boolean; hasSettled: boolean; mayHold: boolean; hasAddress: boolean };

/**
 * What counts is the kernel: who holds the address is the master, whatever was last said. The address of a process that
 * has died stays behind, and is nobody's, until the next one has settled.
 */
export function vrrpState({ isAlive, hasSettled, mayHold, hasAddress }: VrrpObservation): VrrpState {
  if (!isAlive) return 'DEAD';
  if (hasAddress && hasSettled) return 'MASTER';
  return mayHold ? 'BACKUP' : 'FAULT';
}

/**
 * Whether a node may hold the address. One that is drained gives it away while somebody else can take it, and keeps it
 * otherwise.
 */
export function mayHold(
  { healthy, draining }: Pick<Standing, 'healthy' | 'draining'>,
  candidates: readonly { healthy: boolean; draining?: boolean }[],
): boolean {
  return healthy && !(draining && candidates.some((one) => one.healthy && one.draining !== true));
}

/** Whether devices should ask again at once. What is only seen of others, or counted, is no reason. */
export function isNews(before: Standing | undefined, after: Standing): boolean {
  const told = (standing: Standing | undefined) =>
    standing &&
    JSON.stringify([standing.healthy, standing.draining, standing.vrrp, standing.vip, standing.unreachable]);
  return told(before) !== told(after);
}
