import * as v from 'valibot';
import { Count, Name } from './name.ts';

/** The agent's in-tunnel port on its tunnel address: UDP answers probes, TCP serves the asker's bundle and the list of keys over HTTP. */
export const agentPort = 51_830;

/** Where an agent says on its own machine alone that it lives and counts: 200 when it does, 503 when not. */
export const healthPort = 51_832;

/** A probe is padded to this many bytes, so that no answer is larger than its question. */
export const probeBytes = 512;

/** `{"nonce":…,"pad":…}` from a device to a node's tunnel address. */
export const ProbeRequest = v.object({ nonce: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)) });
export type ProbeRequest = v.InferOutput<typeof ProbeRequest>;

/** What VRRP says of a node, and `DEAD` where no VRRP process lives to say anything. */
export const VrrpState = v.picklist(['MASTER', 'BACKUP', 'FAULT', 'DEAD']);
export type VrrpState = v.InferOutput<typeof VrrpState>;

/**
 * `bundleRevision` is the asker's, found by the source address inside the tunnel; `trustVersion` that of the list of
 * keys which this node can give. `vip`: the address that moves is really on this node's tunnel interface; `sees` names
 * the node that it sees holding it, itself included. `unreachable` are networks that this node should lead to and cannot.
 * A node that is alone, or has no mesh, leaves out what there is nothing to say of.
 */
export const ProbeAnswer = v.object({
  nonce: ProbeRequest.entries.nonce,
  node: Name,
  epoch: Count,
  revision: Count,
  bundleRevision: Count,
  trustVersion: v.exactOptional(Count),
  healthy: v.boolean(),
  vrrp: v.exactOptional(VrrpState),
  vip: v.exactOptional(v.boolean()),
  sees: v.exactOptional(Name),
  priority: v.exactOptional(Count),
  draining: v.exactOptional(v.boolean()),
  unreachable: v.exactOptional(v.array(Name)),
});
export type ProbeAnswer = v.InferOutput<typeof ProbeAnswer>;

/** Sent by a node unasked when something changed for the device. It says nothing but "probe now" and is never obeyed. */
export const Hint = v.object({ hint: v.literal('probe') });
export type Hint = v.InferOutput<typeof Hint>;

export function encodeProbe(nonce: string): string {
  const bare = JSON.stringify({ nonce, pad: '' });
  return JSON.stringify({ nonce, pad: ' '.repeat(probeBytes - bare.length) });
}
