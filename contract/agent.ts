import * as v from 'valibot';
import { PublicKey } from './key.ts';
import { Count } from './name.ts';
import { Outage } from './outage.ts';
import { VrrpState } from './probe.ts';
import { Version } from './snapshot.ts';

/** What the master pushes over the agent's WebSocket: only that there is something newer. The body is fetched. */
export const RevisionNotice = Version;
export type RevisionNotice = v.InferOutput<typeof RevisionNotice>;

/** One device's bundle as agents cache and serve it. */
export const CachedBundle = v.object({ publicKey: PublicKey, revision: Count, bundle: v.string() });
export type CachedBundle = v.InferOutput<typeof CachedBundle>;

/** `latestHandshake` in Unix seconds, 0 for never; counters in bytes since the interface came up, as wg(8) shows them. */
export const PeerObservation = v.object({
  publicKey: PublicKey,
  latestHandshake: Count,
  receivedBytes: Count,
  sentBytes: Count,
});
export type PeerObservation = v.InferOutput<typeof PeerObservation>;

/** An outage as a device has seen it; `publicKey` is the device's. */
export const ReportedOutage = v.strictObject({ publicKey: PublicKey, ...Outage.entries });
export type ReportedOutage = v.InferOutput<typeof ReportedOutage>;

/** Whether a node counts, and why it does not, in words. */
export const NodeHealth = v.object({
  healthy: v.boolean(),
  reasons: v.pipe(v.array(v.pipe(v.string(), v.maxLength(300))), v.maxLength(20)),
});
export type NodeHealth = v.InferOutput<typeof NodeHealth>;

export const Load = v.object({ cpu: v.number(), memoryUsedBytes: Count, memoryTotalBytes: Count });
export type Load = v.InferOutput<typeof Load>;

/**
 * What an agent tells the master after a pass. `applied` is the version in force on the node, absent while it is closed;
 * `drift` lists in words what it had to repair, `problem` why the newest snapshot is not in force.
 */
export const AgentReport = v.strictObject({
  applied: v.optional(Version),
  drift: v.pipe(v.array(v.pipe(v.string(), v.maxLength(300))), v.maxLength(100)),
  problem: v.optional(v.pipe(v.string(), v.maxLength(1000))),
  peers: v.optional(v.pipe(v.array(PeerObservation), v.maxLength(20_000))),
  load: v.optional(Load),
  vrrp: v.optional(VrrpState),
  vip: v.optional(v.boolean()),
  health: v.optional(NodeHealth),
  outages: v.optional(v.pipe(v.array(ReportedOutage), v.maxLength(1_000))),
});
export type AgentReport = v.InferOutput<typeof AgentReport>;

/** The request header in which an agent says which snapshot it holds: `EPOCH-REVISION`, and `0-0` for none. */
export const heldHeader = 'postern-holds';

export function renderHeld(held: Version | undefined): string {
  return held === undefined ? '0-0' : `${held.epoch}-${held.revision}`;
}

/** Undefined for an agent that says nothing, or nothing that can be read. */
export function parseHeld(text: string | null): Version | undefined {
  const [, epoch, revision] = /^(\d{1,15})-(\d{1,15})$/.exec(text ?? '') ?? [];
  return epoch === undefined ? undefined : { epoch: Number(epoch), revision: Number(revision) };
}

/** The snapshot that an agent holds, as it was signed. A master that wants to see it answers `witness-wanted`. */
export const Witness = v.strictObject({
  snapshot: v.pipe(
    v.string(),
    v.maxLength(8_000_000),
    v.regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'must be a compact JWS'),
    v.examples(['header.payload.signature']),
  ),
});
export type Witness = v.InferOutput<typeof Witness>;
