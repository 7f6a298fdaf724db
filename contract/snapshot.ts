import * as v from 'valibot';
import { Count, Name, Timestamp } from './name.ts';
import { Cidr, DnsName, Ipv4, PortNumber } from './network.ts';
import { Front, PolicyInForce } from './policy.ts';
import { RosterDevice, RosterNode, RosterUser } from './roster.ts';

/** The mesh that joins the nodes: its subnet, and how often the active one is heard there (VRRP's advertisements). */
export const Mesh = v.object({ cidr: Cidr, advertMilliseconds: Count });
export type Mesh = v.InferOutput<typeof Mesh>;

/** The internal domain, and the resolvers that nodes ask for all else; none when there are no others to ask. */
export const Dns = v.object({ domain: DnsName, upstreams: v.array(Ipv4) });
export type Dns = v.InferOutput<typeof Dns>;

/**
 * Policy and roster, numbered: everything a node needs to be what it should be. Travels as a compact JWS
 * (`typ` below) signed with a working key of use `snapshots`.
 *
 * Only users who are enabled and devices that are registered are in it. `vip` is the address that moves between the
 * nodes, where there is one; `api` says where the API answers inside the tunnel.
 */
export const Snapshot = v.object({
  epoch: Count,
  revision: Count,
  issuedAt: Timestamp,
  pool: Cidr,
  users: v.array(RosterUser),
  devices: v.array(RosterDevice),
  nodes: v.array(RosterNode),
  policy: PolicyInForce,
  fronts: v.array(Front),
  vip: v.exactOptional(Ipv4),
  mesh: v.exactOptional(Mesh),
  dns: v.exactOptional(Dns),
  api: v.exactOptional(v.object({ node: Name, port: PortNumber })),
});
export type Snapshot = v.InferOutput<typeof Snapshot>;

/** A place in the history of snapshots. The epoch counts the database's lives, the revision its changes. */
export const Version = v.object({ epoch: Count, revision: Count });
export type Version = v.InferOutput<typeof Version>;

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`. The epoch decides first. */
export function compareVersions(a: Version, b: Version): number {
  return a.epoch - b.epoch || a.revision - b.revision;
}
