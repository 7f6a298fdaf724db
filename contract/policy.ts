import * as v from 'valibot';
import { Name } from './name.ts';
import { Cidr, InterfaceName } from './network.ts';

/** The way to a network: the node that reaches it, and the interface it lies behind there. */
export const Gateway = v.object({ node: Name, device: InterfaceName });
export type Gateway = v.InferOutput<typeof Gateway>;

/** A subnet behind gateway nodes. With `nat` a gateway sends to it from its own address, so the network needs no route back. */
export const Network = v.object({ name: Name, cidr: Cidr, gateways: v.array(Gateway), nat: v.boolean() });
export type Network = v.InferOutput<typeof Network>;

export const Role = v.object({ name: Name, includes: v.array(Name) });
export type Role = v.InferOutput<typeof Role>;

/** `devices` is every other device of the pool; `network` one named network. */
export const GrantTarget = v.variant('kind', [
  v.object({ kind: v.literal('devices') }),
  v.object({ kind: v.literal('network'), network: Name }),
]);
export type GrantTarget = v.InferOutput<typeof GrantTarget>;

export const Grant = v.object({ role: Name, target: GrantTarget });
export type Grant = v.InferOutput<typeof Grant>;

/** Who may reach what. Nothing is allowed that no grant names. */
export const Policy = v.object({ roles: v.array(Role), networks: v.array(Network), grants: v.array(Grant) });
export type Policy = v.InferOutput<typeof Policy>;
