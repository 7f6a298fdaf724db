import type { Name } from '#contract/name.ts';
import type { SwitchCause } from '#contract/outage.ts';
import type { ProbeAnswer } from '#contract/probe.ts';

/** A node as this device sees it. One that neither answered nor was found silent is not known yet. */
export type NodeView = {
  name: Name;
  /** Of the roster: the higher is preferred. */
  priority: number;
  isSilent: boolean;
  /** The last answer of a node that is not silent. */
  answer?: Pick<ProbeAnswer, 'epoch' | 'healthy' | 'vrrp' | 'vip' | 'draining' | 'unreachable'>;
};

/** The node that has this device's packets, and when it came to that: monotonic milliseconds. */
export type Current = { node: Name; since: number };

/** `cause` is there when the node is another than before. */
export type Choice = { node: Name | undefined; cause?: SwitchCause };

/** Between two changes that are not urgent: an active node that changes often must not take its devices along. */
export const dwellMs = 10_000;

/**
 * The node that should have this device's packets.
 *
 * It stays where it is while that node is well and active, or well and nobody else well is active: of two that both claim
 * to be active neither is better. A node of an older epoch than the bundle's is never chosen. Nothing better: it stays.
 */
export function chooseNode(
  current: Current | undefined,
  views: readonly NodeView[],
  { now, epoch }: { now: number; epoch: number },
): Choice {
  const ranked = byRank(views);
  const best =
    ranked.find((view) => isGood(view, epoch) && isHolder(view)) ??
    ranked.find((view) => isGood(view, epoch)) ??
    ranked.find((view) => isSound(view, epoch));
  const here = ranked.find(({ name }) => name === current?.node);
  if (current === undefined) return { node: best?.name };
  const cause = here === undefined ? 'draining' : reasonToLeave(here, ranked, epoch);
  // What answers, and be it unwell, is better than silence.
  const refuge = here === undefined || here.isSilent ? (best ?? ranked.find((view) => isFresh(view, epoch))) : best;
  if (cause === undefined || refuge === undefined || refuge === here) return { node: current.node };
  const isUrgent = cause === 'silent' || cause === 'unhealthy' || here === undefined;
  if (!isUrgent && now - current.since < dwellMs) return { node: current.node };
  return { node: refuge.name, cause };
}

function reasonToLeave(here: NodeView, all: readonly NodeView[], epoch: number): SwitchCause | undefined {
  if (here.isSilent) return 'silent';
  if (here.answer === undefined) return undefined;
  if (!isSound(here, epoch)) return 'unhealthy';
  if (here.answer.draining === true) return all.some((view) => isGood(view, epoch)) ? 'draining' : undefined;
  if (!isHolder(here) && all.some((view) => isGood(view, epoch) && isHolder(view))) return 'passive';
  return undefined;
}

/** The most preferred first. */
export function byRank<T extends { name: Name; priority: number }>(nodes: readonly T[]): readonly T[] {
  return [...nodes].sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
}

const isFresh = ({ isSilent, answer }: NodeView, epoch: number) =>
  !isSilent && answer !== undefined && answer.epoch >= epoch;
const isSound = (view: NodeView, epoch: number) => isFresh(view, epoch) && view.answer?.healthy === true;
const isGood = (view: NodeView, epoch: number) => isSound(view, epoch) && view.answer?.draining !== true;
/** The address that moves is really there, and the process lives that would take it away. */
const isHolder = ({ answer }: NodeView) => answer?.vip === true && answer.vrrp === 'MASTER';
