import * as v from 'valibot';
import { NetworkName } from './admin.ts';
import { Name } from './name.ts';
import { DnsName, InterfaceName, Ipv4 } from './network.ts';

/** Services, and ports that are closed to the public: lines of the policy, as things that admins add and remove. */

const port = '(?:[1-9]\\d{0,4})(?:-[1-9]\\d{0,4})?';

/** `tcp/443`, `udp/53`, `tcp/8000-8100` or, of services, `icmp`. Whether the range rises is for the policy to say. */
export const PolicyPort = v.pipe(
  v.string(),
  v.regex(new RegExp(`^(?:icmp|(?:tcp|udp)/${port})$`), 'must be a port such as tcp/443, udp/53 or tcp/8000-8100'),
  v.examples(['tcp/443']),
);

export const TransportPort = v.pipe(
  v.string(),
  v.regex(new RegExp(`^(?:tcp|udp)/${port}$`), 'must be a port such as tcp/5432 or udp/8000-8100'),
  v.examples(['tcp/5432']),
);

/** Programs behind a front that want more of it than others do. */
export const Preset = v.picklist(['keycloak', 'vaultwarden', 'gitlab']);
export type Preset = v.InferOutput<typeof Preset>;

/** With `front`, devices see tcp/443 in the place of the first port, at `frontAddress`. `roles` may reach it. */
export const ServiceResource = v.object({
  name: Name,
  address: Ipv4,
  ports: v.array(PolicyPort),
  dnsName: v.nullable(DnsName),
  front: v.nullable(v.literal('https')),
  preset: v.nullable(Preset),
  frontAddress: v.nullable(Ipv4),
  roles: v.array(Name),
});
export type ServiceResource = v.InferOutput<typeof ServiceResource>;

export const NewService = v.strictObject({
  name: NetworkName,
  address: Ipv4,
  ports: v.pipe(v.array(PolicyPort), v.minLength(1), v.maxLength(32)),
  dnsName: v.optional(DnsName),
  front: v.optional(v.literal('https')),
  preset: v.optional(Preset),
  roles: v.optional(v.pipe(v.array(Name), v.maxLength(32))),
});
export type NewService = v.InferOutput<typeof NewService>;

/** A port of a node that is closed on this interface and open to every device through the tunnel. */
export const ClosedPort = v.object({ node: Name, device: InterfaceName, port: TransportPort });
export type ClosedPort = v.InferOutput<typeof ClosedPort>;

/** `force` is needed for SSH alone: if the tunnel fails, so does the way to repair it. */
export const NewClosedPorts = v.strictObject({
  node: Name,
  device: InterfaceName,
  ports: v.pipe(v.array(TransportPort), v.minLength(1), v.maxLength(32)),
  force: v.optional(v.boolean()),
});
export type NewClosedPorts = v.InferOutput<typeof NewClosedPorts>;
