import * as v from 'valibot';
import { Count } from './name.ts';
import { Cidr, DnsName, Ipv4 } from './network.ts';

/** What holds for the whole installation, and admins may change. */

const upstreams = v.pipe(v.array(Ipv4), v.maxLength(4));

/** In steps of 10 ms, as VRRP counts. */
const advertMilliseconds = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(50),
  v.maxValue(10_000),
  v.multipleOf(10, 'must be a multiple of 10'),
  v.examples([200]),
);

/** A subnet with an address for each node that there may be. */
export const MeshCidr = v.pipe(Cidr, v.endsWith('/24', 'must be a /24'), v.examples(['10.213.7.0/24']));

/**
 * `domain` is the internal domain, `upstreams` the resolvers that nodes ask for all other names; none when there are none
 * to ask. `mesh` joins the nodes; `advertMilliseconds` is how often the active one is heard there. `vip` is the address
 * that moves between them, one of the pool. `mesh` is null until a master that knows of it has started.
 */
export const Settings = v.object({
  pool: Cidr,
  vip: Ipv4,
  mesh: v.nullable(Cidr),
  advertMilliseconds: Count,
  domain: DnsName,
  upstreams: v.array(Ipv4),
  publicUrl: v.string(),
});
export type Settings = v.InferOutput<typeof Settings>;

export const SettingsChange = v.strictObject({
  domain: v.optional(DnsName),
  upstreams: v.optional(upstreams),
  advertMilliseconds: v.optional(advertMilliseconds),
  mesh: v.optional(MeshCidr),
});
export type SettingsChange = v.InferOutput<typeof SettingsChange>;
