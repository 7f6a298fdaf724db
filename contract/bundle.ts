import * as v from 'valibot';
import { PublicKey } from './key.ts';
import { Count, DisplayName, Name, Timestamp } from './name.ts';
import { Cidr, DnsName, Ipv4 } from './network.ts';
import { RosterNode } from './roster.ts';

/** A network this device may reach, and the nodes that lead to it. The other devices appear as one called `devices`. */
export const BundleNetwork = v.object({ name: Name, cidr: Cidr, nodes: v.array(Name) });
export type BundleNetwork = v.InferOutput<typeof BundleNetwork>;

/**
 * All that one device needs to be inside. Travels as a compact JWS signed with a working key of use `bundles`;
 * a device accepts only a bundle with its own key, and none older than the one it has.
 */
export const Bundle = v.object({
  epoch: Count,
  revision: Count,
  issuedAt: Timestamp,
  deviceKey: PublicKey,
  deviceName: DisplayName,
  address: Ipv4,
  pool: Cidr,
  nodes: v.array(RosterNode),
  networks: v.array(BundleNetwork),
  persistentKeepaliveSeconds: Count,
  /** The address that moves between the nodes. Names of the internal domain are asked for there. */
  vip: v.exactOptional(Ipv4),
  domain: v.exactOptional(DnsName),
  /** The certificate (PEM) of the authority for names of the internal domain. */
  authority: v.exactOptional(v.string()),
  /** How devices reach the master. Heeded in a new epoch alone: the master may have moved, and can tell only so. */
  master: v.optional(v.string()),
});
export type Bundle = v.InferOutput<typeof Bundle>;

/** What a bundle says, without the numbers that date it: the revision grows exactly when this changes. */
export type BundleContent = Omit<Bundle, 'epoch' | 'revision' | 'issuedAt' | 'master'>;
