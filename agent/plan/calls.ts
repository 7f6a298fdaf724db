import type { PublicKey } from '#contract/key.ts';
import type { Endpoint } from '#contract/network.ts';
import type { ObservedPeer } from '#contract/wg.ts';

/** Which of its endpoints another node was last called at, of which, and when (Unix milliseconds). */
export type Called = { endpoints: string; turn: number; at: number };

export type Call = { publicKey: PublicKey; endpoint: Endpoint };

/** WireGuard begins a session anew after two minutes; with a keepalive an older one means that nothing comes through. */
const sessionMs = 135_000;
/** A peer that was never heard answers within a moment, or is not there. */
const answerMs = 15_000;

/**
 * Whom to call where. An endpoint is told to WireGuard once and then left to it, since it follows a peer that moves; it
 * is told again when the roster says another one, and when nothing was heard for long: then the next one, by which a
 * name is looked up anew too.
 */
export function plannedCalls(
  desired: readonly { publicKey: PublicKey; endpoints: readonly Endpoint[] }[],
  observed: readonly Pick<ObservedPeer, 'publicKey' | 'endpoint' | 'latestHandshake'>[],
  called: ReadonlyMap<PublicKey, Called>,
  now: number,
): { calls: readonly Call[]; called: ReadonlyMap<PublicKey, Called> } {
  const seen = new Map(observed.map((peer) => [peer.publicKey, peer]));
  const after = new Map<PublicKey, Called>();
  const calls: Call[] = [];
  for (const { publicKey, endpoints } of desired) {
    const peer = seen.get(publicKey);
    const before = called.get(publicKey);
    if (peer === undefined) continue;
    const spelled = endpoints.join(' ');
    const isOther = before !== undefined && before.endpoints !== spelled;
    const quietSince = Math.max(peer.latestHandshake * 1000 + sessionMs, (before?.at ?? 0) + answerMs);
    if (endpoints.length === 0 || (peer.endpoint !== undefined && !isOther && now < quietSince)) {
      after.set(publicKey, { turn: 0, at: 0, ...before, endpoints: spelled });
      continue;
    }
    const turn = before === undefined || isOther ? 0 : (before.turn + 1) % endpoints.length;
    const endpoint = endpoints[turn];
    if (endpoint !== undefined) calls.push({ publicKey, endpoint });
    after.set(publicKey, { endpoints: spelled, turn, at: now });
  }
  return { calls, called: after };
}
