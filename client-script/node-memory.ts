import type { Endpoint } from '#contract/network.ts';
import type { ProbeAnswer } from '#contract/probe.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { smooth } from './failover/round-trip.ts';
import type { Answered } from './probe.ts';
import type { DesiredPeer } from './tunnel.ts';
import { type PeerStep, retryPeer, setPeer } from './tunnel-plan.ts';

/** A session older than this is dead: WireGuard renews one every two minutes while there is anything to send. */
const sessionLifeSeconds = 180;
/** A dead session is given this long on one endpoint before the next is tried. */
const endpointPatienceMs = 20_000;
/** A node that seems to have lost its session is made anew no more often than this. */
const renewalPatienceMs = 10_000;
/** A node whose bundle turned out not to be newer is asked for it again after this. */
const refetchPatienceMs = 60_000;
/** A node's list of keys that was not taken is asked for again after this. */
const keysPatienceMs = 10_000;

/** What the watcher remembers of a node. Times are those of the monotonic clock, in milliseconds. */
export type NodeMemory = {
  attempt: number;
  triedAt: number;
  answeredAt?: number;
  /** Smoothed. */
  roundTripMs?: number;
  /** The last one, of a node that is not silent. */
  answer?: ProbeAnswer;
  /** It was asked several times, and none was answered in time. */
  isSilent: boolean;
  /** When it was heard again after it had been silent. */
  heardAgainAt?: number;
  /** In how many looks in a row the node was silent, and what had come from it by the first of them. */
  silence?: { looks: number; receivedBytes: number };
  /** When its list of keys was last asked for. */
  keysTriedAt?: number;
  /** The version of a bundle fetched in vain, and when. */
  vain?: { version: Version; at: number };
};

export const newMemory: NodeMemory = { attempt: 0, triedAt: Number.NEGATIVE_INFINITY, isSilent: false };

export function endpointFor(peer: DesiredPeer, { attempt }: NodeMemory): Endpoint | undefined {
  return peer.endpoints[attempt % Math.max(1, peer.endpoints.length)];
}

/**
 * What to do about a node that did not answer. One that never spoke is made anew, which tries at once; one whose
 * session is dead is tried at its next endpoint.
 *
 * A node that was restarted has forgotten a session that looks alive here, and WireGuard needs 15 s to notice. So when
 * not a byte came between two silent looks, the peer is made anew as well. While anything comes it is left alone,
 * whatever the agent does.
 */
export function repairSilent(
  peer: DesiredPeer,
  observed: ObservedPeer | undefined,
  memory: NodeMemory,
  clock: { unixSeconds: number; monotonicMs: number },
): { steps: readonly PeerStep[]; memory: NodeMemory } {
  if (observed === undefined) return { steps: [], memory };
  const { receivedBytes, endpoint } = observed;
  const isQuiet = memory.silence?.receivedBytes === receivedBytes;
  const silence = { looks: isQuiet ? (memory.silence?.looks ?? 0) + 1 : 1, receivedBytes };
  const waitedMs = clock.monotonicMs - memory.triedAt;
  const tried = { ...memory, silence, triedAt: clock.monotonicMs };
  const next = { ...tried, attempt: memory.attempt + 1 };

  if (observed.latestHandshake === 0) return { steps: retryPeer(peer, endpointFor(peer, next)), memory: next };
  if (isSessionDead(observed, clock.unixSeconds)) {
    if (waitedMs < endpointPatienceMs) return { steps: [], memory: { ...memory, silence } };
    return { steps: [setPeer(peer, endpointFor(peer, next))], memory: next };
  }
  if (silence.looks < 2 || waitedMs < renewalPatienceMs) return { steps: [], memory: { ...memory, silence } };
  return { steps: retryPeer(peer, endpoint ?? endpointFor(peer, memory)), memory: tried };
}

/** Whether a session was there and is no more. WireGuard may wait seconds until it makes another. */
export function isSessionDead({ latestHandshake }: ObservedPeer, unixSeconds: number): boolean {
  return latestHandshake !== 0 && unixSeconds - latestHandshake > sessionLifeSeconds;
}

/** A first silence is looked into soon: it may be a lost packet, or a node that is not what it was. */
export function isFreshSilence({ silence }: NodeMemory): boolean {
  return silence?.looks === 1;
}

export function afterAnswer(
  { silence: _, ...before }: NodeMemory,
  { answer, rttMs }: Answered,
  now: number,
): NodeMemory {
  const heardAgainAt = before.isSilent ? now : before.heardAgainAt;
  // What was asked while it was silent has waited for it to come back: that is no round trip.
  const hasWaited = heardAgainAt !== undefined && now - rttMs <= heardAgainAt;
  return {
    ...before,
    ...{ answer, isSilent: false, answeredAt: now },
    ...(heardAgainAt === undefined ? {} : { heardAgainAt }),
    ...(hasWaited ? {} : { roundTripMs: smooth(before.roundTripMs, rttMs) }),
  };
}

export function afterSilence({ answer: _, ...before }: NodeMemory): NodeMemory {
  return { ...before, isSilent: true };
}

/** Whether the node is another than before for who chooses among nodes. */
export function isChanged(before: NodeMemory, after: NodeMemory): boolean {
  return before.isSilent !== after.isSilent || standing(before) !== standing(after);
}

function standing({ answer }: NodeMemory): string {
  if (answer === undefined) return '';
  const { epoch, healthy, vrrp, vip, draining, unreachable } = answer;
  return JSON.stringify([epoch, healthy, vrrp, vip, draining, unreachable]);
}

/** Whether the node says that it has a bundle newer than ours, and has not just given us one that was not. */
export function offersNewer(have: Version, memory: NodeMemory, monotonicMs: number): boolean {
  if (memory.answer === undefined) return false;
  const offered = offeredVersion(memory.answer);
  // A node that has none yet says 0, also in an epoch that is newer than ours.
  if (offered.revision === 0 || compareVersions(offered, have) <= 0) return false;
  const { vain } = memory;
  return (
    vain === undefined || compareVersions(vain.version, offered) !== 0 || monotonicMs - vain.at >= refetchPatienceMs
  );
}

/** Whether the node says that it has a newer list of keys, and was not asked for it just now. */
export function offersKeys(have: number, { answer, keysTriedAt }: NodeMemory, monotonicMs: number): boolean {
  if ((answer?.trustVersion ?? 0) <= have) return false;
  return monotonicMs - (keysTriedAt ?? Number.NEGATIVE_INFINITY) >= keysPatienceMs;
}

export function offeredVersion({ epoch, bundleRevision }: ProbeAnswer): Version {
  return { epoch, revision: bundleRevision };
}
