import * as v from 'valibot';
import { Count, DisplayName, Id, Name, Timestamp } from './name.ts';

/** Why a device changed nodes. `silent`: no answer; `passive`: another node is the active one. */
export const SwitchCause = v.picklist(['silent', 'unhealthy', 'draining', 'passive', 'unreachable-network']);
export type SwitchCause = v.InferOutput<typeof SwitchCause>;

/**
 * A device's change from one node to another, as it was felt there. `gapMilliseconds`: from the last packet that came
 * before to the first that came after.
 */
export const Outage = v.strictObject({
  at: Timestamp,
  from: Name,
  to: Name,
  cause: SwitchCause,
  gapMilliseconds: Count,
});
export type Outage = v.InferOutput<typeof Outage>;

/**
 * `POST /v1/outages` on an agent's in-tunnel port: what a device has seen since it last told, the oldest first. Answered
 * with 204; the agent keeps it until the master has it.
 */
export const SeenOutages = v.strictObject({ outages: v.pipe(v.array(Outage), v.minLength(1), v.maxLength(100)) });
export type SeenOutages = v.InferOutput<typeof SeenOutages>;

/** An outage as the master keeps it. `device` is what the device was called then; `reportedBy` the node it told. */
export const RecordedOutage = v.object({
  id: Count,
  deviceId: Id,
  device: DisplayName,
  ...Outage.entries,
  reportedBy: Name,
});
export type RecordedOutage = v.InferOutput<typeof RecordedOutage>;
