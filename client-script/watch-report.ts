import * as v from 'valibot';
import { Name, Timestamp } from '#contract/name.ts';
import { VrrpState } from '#contract/probe.ts';

/** What the watcher writes after each look, for `status`. */
export const WatchReport = v.object({
  at: Timestamp,
  pid: v.number(),
  /** The node that has this device's packets. */
  active: v.string(),
  nodes: v.array(
    v.object({
      name: Name,
      isAnswering: v.boolean(),
      isHealthy: v.boolean(),
      isDraining: v.boolean(),
      vrrp: v.nullable(VrrpState),
      holdsVip: v.boolean(),
      rttMs: v.nullable(v.number()),
    }),
  ),
  problems: v.array(v.string()),
});
export type WatchReport = v.InferOutput<typeof WatchReport>;
