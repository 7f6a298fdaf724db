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

/**
 * A node's place in the mesh that joins the nodes: the key and the address of its interface there. One without endpoints
 * is behind NAT; it calls the others.
 */
export const NodeMesh = v.object({ publicKey: PublicKey, address: Ipv4, endpoints: v.array(Endpoint) });
export type NodeMesh = v.InferOutput<typeof NodeMesh>;

/**
 * A machine that terminates tunnels. A higher priority is preferred. `draining`: devices leave it and do not come to it.
 */
export const RosterNode = v.object({
  name: Name,
  publicKey: PublicKey,
  endpoints: v.array(Endpoint),
  tunnelAddress: Ipv4,
  priority: Count,
  mesh: v.exactOptional(NodeMesh),
  draining: v.exactOptional(v.boolean()),
});
export type RosterNode = v.InferOutput<typeof RosterNode>;
