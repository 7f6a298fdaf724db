import * as v from 'valibot';
import { Count, DisplayName, Email, Name, Timestamp } from './name.ts';
import { Ipv4 } from './network.ts';
import { Version } from './snapshot.ts';

/**
 * What changed after the copy that this life of the database began with, as far as nodes remember it. What an admin had
 * closed stays closed: it is done again. What an admin had opened is lost, and listed to be done again by hand.
 */
export const Aftermath = v.object({
  /** Done again by the master. */
  revoked: v.array(v.object({ name: DisplayName, email: Email, address: Ipv4 })),
  disabled: v.array(Email),
  roles: v.array(v.object({ email: Email, from: Name, to: Name })),
  removedNodes: v.array(Name),
  /** To be done again by people. */
  lostDevices: v.array(v.object({ name: DisplayName, email: Email, address: Ipv4 })),
  lostUsers: v.array(Email),
  lostNodes: v.array(Name),
  /** `taken-over`: the later document is in force again. `to-compare`: it was another one, and could not be. */
  policy: v.picklist(['same', 'taken-over', 'to-compare']),
  /** Closed after the copy, and could not be closed again: what it is, in words. */
  toClose: v.array(v.string()),
});
export type Aftermath = v.InferOutput<typeof Aftermath>;

/** Each restore and each promotion begins a life of the database, with an epoch of its own. */
export const Life = v.object({
  epoch: Count,
  cause: v.picklist(['restore', 'promote']),
  beganAt: Timestamp,
  /** The version and the moment of the copy. */
  from: Version,
  copiedAt: Timestamp,
  /** The newest version after the copy that any node showed; the copy's own when there was none. */
  witnessed: Version,
  /** The nodes that have shown what they hold, and those that have not. */
  witnesses: v.array(Name),
  awaited: v.array(Name),
  aftermath: Aftermath,
});
export type Life = v.InferOutput<typeof Life>;

/** How the master itself stands. `superseded` names the newer version that a node has proven; null when all is well. */
export const MasterStatus = v.object({
  epoch: Count,
  revision: Count,
  publicUrl: v.string(),
  superseded: v.nullable(v.object({ by: Version, node: Name, at: Timestamp })),
  life: v.nullable(Life),
});
export type MasterStatus = v.InferOutput<typeof MasterStatus>;
