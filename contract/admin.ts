import * as v from 'valibot';
import { Platform } from './enrolment.ts';
import { PublicKey, SigningKey } from './key.ts';
import { Count, DisplayName, Email, Id, Moment, Name, Timestamp } from './name.ts';
import { Cidr, Endpoint, InterfaceName, Ipv4 } from './network.ts';
import { Gateway } from './policy.ts';
import { VrrpState } from './probe.ts';
import { NodeMesh } from './roster.ts';
import { Version } from './snapshot.ts';

/** The resources that admins see and change. Requests are strict: an unknown field is an error, not ignored. */

/** What a user may do on the API. Apart from the policy role, which says what the tunnel opens. */
export const Permission = v.picklist(['owner', 'operator', 'auditor', 'none']);
export type Permission = v.InferOutput<typeof Permission>;

export const User = v.object({
  id: Id,
  email: Email,
  role: Name,
  permission: Permission,
  disabled: v.boolean(),
  createdAt: Timestamp,
});
export type User = v.InferOutput<typeof User>;

export const NewUser = v.strictObject({ email: Email, role: Name, permission: v.optional(Permission) });
export type NewUser = v.InferOutput<typeof NewUser>;

export const UserChange = v.strictObject({
  role: v.optional(Name),
  permission: v.optional(Permission),
  disabled: v.optional(v.boolean()),
});
export type UserChange = v.InferOutput<typeof UserChange>;

/** What a provisioning script wants of a user, whether it exists or not. What is absent stays, or is none and enabled. */
export const WantedUser = v.strictObject({
  role: Name,
  permission: v.optional(Permission),
  disabled: v.optional(v.boolean()),
});
export type WantedUser = v.InferOutput<typeof WantedUser>;

/** `managed` belongs to a person and runs our client; `machine` has no person behind it and leaves by itself. */
export const DeviceKind = v.picklist(['managed', 'machine']);
export type DeviceKind = v.InferOutput<typeof DeviceKind>;

export const longestMachineDays = 366;

/** A machine that leaves by itself `expiresIn` seconds after it has joined: 1 minute to 366 days. */
export const MachineDevice = v.strictObject({
  kind: v.literal('machine'),
  expiresIn: v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(60),
    v.maxValue(longestMachineDays * 86_400),
    v.examples([3_600]),
  ),
});
export type MachineDevice = v.InferOutput<typeof MachineDevice>;

/** `ttl` in seconds: 1 minute to 30 days; a day when absent. `device` says what it lets in; a person's when absent. */
export const NewCode = v.strictObject({
  ttl: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(60), v.maxValue(30 * 86_400), v.examples([86_400]))),
  device: v.optional(MachineDevice),
});
export type NewCode = v.InferOutput<typeof NewCode>;

/** The one time a code is shown. `join.sh` is the line to run on the device; the code itself is asked for there. */
export const IssuedCode = v.object({
  id: Id,
  code: v.pipe(v.string(), v.examples(['7QK2M-9ZX4T-B6VAE-H3NPW-R8YC5'])),
  expiresAt: Timestamp,
  join: v.object({ sh: v.string() }),
});
export type IssuedCode = v.InferOutput<typeof IssuedCode>;

export const CodeState = v.picklist(['open', 'leased', 'spent', 'expired', 'withdrawn']);
/** `userId` is null once the user was removed. `deviceId` is the device that has reserved or used it, while it is there. */
export const Code = v.object({
  id: Id,
  userId: v.nullable(Id),
  state: CodeState,
  device: v.nullable(MachineDevice),
  deviceId: v.nullable(Id),
  createdAt: Timestamp,
  expiresAt: Timestamp,
});
export type Code = v.InferOutput<typeof Code>;

/**
 * `expiresAt` is when a machine leaves by itself, null for others. `latestHandshake` is the newest that any node
 * reported. `bundleRevision` is the newest bundle made for it.
 */
export const Device = v.object({
  id: Id,
  userId: Id,
  email: Email,
  name: DisplayName,
  platform: Platform,
  kind: DeviceKind,
  expiresAt: v.nullable(Timestamp),
  publicKey: PublicKey,
  address: Ipv4,
  bundleRevision: Count,
  createdAt: Timestamp,
  latestHandshake: v.nullable(Timestamp),
  receivedBytes: Count,
  sentBytes: Count,
});
export type Device = v.InferOutput<typeof Device>;

/** `expiresAt` renews a machine, or lets it end sooner. */
export const DeviceChange = v.strictObject({ name: v.optional(DisplayName), expiresAt: v.optional(Moment) });
export type DeviceChange = v.InferOutput<typeof DeviceChange>;

/** The nodes that have put a change in force by now, and those still to follow. */
export const Convergence = v.object({ revision: Count, appliedBy: v.array(Name), pending: v.array(Name) });
export type Convergence = v.InferOutput<typeof Convergence>;

/** `roles` are those that may reach the network; `gateways` say where it lies. */
export const NetworkResource = v.object({
  name: Name,
  cidr: Cidr,
  gateways: v.array(Gateway),
  nat: v.boolean(),
  roles: v.array(Name),
});
export type NetworkResource = v.InferOutput<typeof NetworkResource>;

/** Names the policy already gives a meaning. */
export const NetworkName = v.pipe(
  Name,
  v.notValues(['devices', 'nodes', 'everyone'], 'is a word of the policy itself'),
);

export const NewNetwork = v.strictObject({
  name: NetworkName,
  cidr: Cidr,
  gateways: v.pipe(v.array(v.strictObject({ node: Name, device: InterfaceName })), v.minLength(1), v.maxLength(32)),
  nat: v.optional(v.boolean()),
  roles: v.optional(v.pipe(v.array(Name), v.maxLength(32))),
});
export type NewNetwork = v.InferOutput<typeof NewNetwork>;

/**
 * `connected` says whether the node's agent holds its channel now. What the agent said at `seenAt` stands in `vrrp`, `vip`
 * (it holds the address that moves), `healthy`, and `reasons`, why it is not; null is what it has not said.
 */
export const NodeResource = v.object({
  name: Name,
  publicKey: PublicKey,
  endpoints: v.array(Endpoint),
  tunnelAddress: Ipv4,
  priority: Count,
  mesh: v.nullable(NodeMesh),
  draining: v.boolean(),
  connected: v.boolean(),
  applied: v.nullable(Version),
  problem: v.nullable(v.string()),
  vrrp: v.nullable(VrrpState),
  vip: v.nullable(v.boolean()),
  healthy: v.nullable(v.boolean()),
  reasons: v.array(v.string()),
  seenAt: v.nullable(Timestamp),
});
export type NodeResource = v.InferOutput<typeof NodeResource>;

export const NodeEndpoints = v.pipe(v.array(Endpoint), v.minLength(1), v.maxLength(8));
export const NodePriority = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(254));
/** None for a node behind NAT, which calls the others. */
export const MeshEndpoints = v.pipe(v.array(Endpoint), v.maxLength(8));

/** A node's own half of its place in the mesh. Its endpoints there stay as they are when they are absent. */
export const NewMesh = v.strictObject({ publicKey: PublicKey, endpoints: v.optional(MeshEndpoints) });
export type NewMesh = v.InferOutput<typeof NewMesh>;

export const NewNode = v.strictObject({
  name: Name,
  publicKey: PublicKey,
  agentKey: SigningKey,
  endpoints: NodeEndpoints,
  priority: v.optional(NodePriority),
  mesh: v.optional(NewMesh),
});
export type NewNode = v.InferOutput<typeof NewNode>;

/** The answer of `/healthz`: that the master serves and its database can be read and written. */
export const Health = v.object({ status: v.literal('ok'), epoch: Count, revision: Count });
export type Health = v.InferOutput<typeof Health>;
