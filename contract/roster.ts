import * as v from 'valibot';
import { PublicKey } from './key.ts';
import { Count, DisplayName, Email, Id, Name } from './name.ts';
import { Endpoint, Ipv4 } from './network.ts';

/** The parts of a roster: who and what exists, without any secret. */

export const RosterUser = v.object({ id: Id, email: Email, role: Name });
export type RosterUser = v.InferOutput<typeof RosterUser>;

/** `bundleRevision` grows only when this device's own bundle changes. */
export const RosterDevice = v.object({
  id: Id,
  userId: Id,
  name: DisplayName,
  publicKey: PublicKey,
  address: Ipv4,
  bundleRevision: Count,
});
export type RosterDevice = v.InferOutput<typeof RosterDevice>;

/** A machine that terminates tunnels. A higher priority is preferred. */
export const RosterNode = v.object({
  name: Name,
  publicKey: PublicKey,
  endpoints: v.array(Endpoint),
  tunnelAddress: Ipv4,
  priority: Count,
});
export type RosterNode = v.InferOutput<typeof RosterNode>;
