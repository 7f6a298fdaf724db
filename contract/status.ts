import * as v from 'valibot';
import { Count, Timestamp } from './name.ts';

/** How the master is, for whoever watches it. */

/**
 * Why the master cannot do its work: a key with which it signs has run out, or its clock shows an earlier time than the
 * last change it made.
 */
export const NotReadyReason = v.picklist(['keys-expired', 'clock-behind']);
export type NotReadyReason = v.InferOutput<typeof NotReadyReason>;

/** The answer of `/readyz` when all is well. */
export const Readiness = v.object({ status: v.literal('ready') });

/**
 * What somebody should do something about before it breaks. `subject` is what it is about: the use of a key, the name of
 * a node or the id of a token or webhook. `at` is when it happens or has happened, null where there is no such moment.
 */
export const Warning = v.object({
  code: v.picklist([
    'key-ends',
    'certificate-ends',
    'token-ends',
    'node-gone',
    'node-behind',
    'node-problem',
    'node-unhealthy',
    'no-active-node',
    'several-active-nodes',
    'disk-nearly-full',
    'webhook-failing',
    'master-superseded',
    'changes-lost',
  ]),
  subject: v.nullable(v.string()),
  message: v.string(),
  at: v.nullable(Timestamp),
});
export type Warning = v.InferOutput<typeof Warning>;

/** `behind` counts nodes that have not put the current revision in force. */
export const Status = v.object({
  version: v.string(),
  startedAt: Timestamp,
  uptimeSeconds: Count,
  epoch: Count,
  revision: Count,
  ready: v.boolean(),
  reasons: v.array(NotReadyReason),
  users: Count,
  devices: v.object({ total: Count, online: Count }),
  nodes: v.object({ total: Count, connected: Count, behind: Count }),
  warnings: v.array(Warning),
});
export type Status = v.InferOutput<typeof Status>;
