import * as v from 'valibot';
import { MeshEndpoints, NewMesh, NodeEndpoints, NodePriority } from './admin.ts';
import { PreAuthCode } from './code.ts';
import { PublicKey, SigningKey } from './key.ts';
import { Count, Id, Name, Timestamp } from './name.ts';
import { Endpoint, Ipv4 } from './network.ts';
import { NodeMesh } from './roster.ts';

/** How a machine becomes a node: an admin names it and gets a code, the machine redeems the code with its keys. */

/** `ttl` in seconds: 1 minute to a day; an hour when absent. Without `endpoints` the machine's own address counts. */
export const NewNodeCode = v.strictObject({
  name: Name,
  endpoints: v.optional(NodeEndpoints),
  priority: v.optional(NodePriority),
  ttl: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(60), v.maxValue(86_400), v.examples([3_600]))),
});
export type NewNodeCode = v.InferOutput<typeof NewNodeCode>;

/** The one time a code is shown. `join.sh` is the line to run on the machine; the code itself is asked for there. */
export const IssuedNodeCode = v.object({
  id: Id,
  name: Name,
  code: v.pipe(v.string(), v.examples(['7QK2M-9ZX4T-B6VAE-H3NPW-R8YC5'])),
  expiresAt: Timestamp,
  join: v.object({ sh: v.string() }),
});
export type IssuedNodeCode = v.InferOutput<typeof IssuedNodeCode>;

export const NodeCodeState = v.picklist(['open', 'spent', 'expired', 'withdrawn']);

export const NodeCode = v.object({
  id: Id,
  name: Name,
  state: NodeCodeState,
  endpoints: v.nullable(v.array(Endpoint)),
  priority: v.nullable(Count),
  createdAt: Timestamp,
  expiresAt: Timestamp,
});
export type NodeCode = v.InferOutput<typeof NodeCode>;

/**
 * What a machine sends to become a node. `publicKey` is for the tunnel, `agentKey` signs the agent's requests. What is
 * said of endpoints counts more than what the code says; a node behind NAT has none in the mesh.
 */
export const NodeEnrolmentRequest = v.strictObject({
  code: PreAuthCode,
  publicKey: PublicKey,
  agentKey: SigningKey,
  mesh: NewMesh,
  endpoints: v.optional(NodeEndpoints),
});
export type NodeEnrolmentRequest = v.InferOutput<typeof NodeEnrolmentRequest>;

/** The node as it now stands in the roster. The same code and keys get it again. */
export const NodeEnrolment = v.object({
  name: Name,
  endpoints: v.array(Endpoint),
  tunnelAddress: Ipv4,
  priority: Count,
  mesh: v.nullable(NodeMesh),
});
export type NodeEnrolment = v.InferOutput<typeof NodeEnrolment>;

/** Where devices and other nodes find a node, how much it is preferred, and whether devices are to leave it. */
export const NodeChange = v.strictObject({
  endpoints: v.optional(NodeEndpoints),
  meshEndpoints: v.optional(MeshEndpoints),
  priority: v.optional(NodePriority),
  draining: v.optional(v.boolean()),
});
export type NodeChange = v.InferOutput<typeof NodeChange>;
