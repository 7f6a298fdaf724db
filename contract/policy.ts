import * as v from 'valibot';
import { Count, Name } from './name.ts';
import { InterfaceName, Ipv4 } from './network.ts';

/** The way to a network: the node that reaches it, and the interface it lies behind there. */
export const Gateway = v.object({ node: Name, device: InterfaceName });
export type Gateway = v.InferOutput<typeof Gateway>;

/** A policy as it is written. What it says is known to `policies/language` alone. */
export const PolicyText = v.pipe(v.string(), v.maxLength(1_000_000));
export type PolicyText = v.InferOutput<typeof PolicyText>;

/** The document in force. Its revision counts the documents, not the changes of the roster. */
export const PolicyInForce = v.object({ revision: Count, document: PolicyText });
export type PolicyInForce = v.InferOutput<typeof PolicyInForce>;

/** The address inside the tunnel that a fronted service answers at. It moves with the VIP. */
export const Front = v.object({ service: Name, address: Ipv4 });
export type Front = v.InferOutput<typeof Front>;
