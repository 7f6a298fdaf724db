import * as v from 'valibot';
import { Count, DisplayName, Id, Timestamp } from './name.ts';

/** Webhooks: what the master tells other programs by itself, as the Standard Webhooks specification has it. */

export const EventType = v.picklist([
  'device.joined',
  'device.revoked',
  'device.left',
  'device.expired',
  'user.added',
  'user.changed',
  'user.disabled',
  'user.removed',
  'code.misused',
  'network.added',
  'network.removed',
  'policy.changed',
  'node.added',
  'node.changed',
  'node.removed',
  'node.connected',
  'node.disconnected',
  'failover',
  'token.added',
  'token.revoked',
  'master.restored',
  'master.promoted',
  'master.superseded',
]);
export type EventType = v.InferOutput<typeof EventType>;

/** What is sent to try a webhook; nothing has happened. */
export const testEventType = 'webhook.test';

const WebhookUrl = v.pipe(
  v.string(),
  v.maxLength(2048, 'has more than 2048 characters'),
  v.check(isReceiver, 'must be https://HOST/…, without a user name, a password or a #part'),
  v.examples(['https://hooks.example.com/postern']),
);

function isReceiver(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && url.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
}

const events = v.pipe(
  v.array(EventType),
  v.minLength(1, 'must name at least one event; leave it out for all of them'),
  v.check((list) => new Set(list).size === list.length, 'must name each event once'),
);

/** Without `events` it is told of all, those that later versions add included. */
export const NewWebhook = v.strictObject({ name: DisplayName, url: WebhookUrl, events: v.optional(events) });
export type NewWebhook = v.InferOutput<typeof NewWebhook>;

/** `events: null` is all of them. Enabling a webhook tries again at once. */
export const WebhookChange = v.strictObject({
  name: v.optional(DisplayName),
  url: v.optional(WebhookUrl),
  events: v.optional(v.nullable(events)),
  enabled: v.optional(v.boolean()),
});
export type WebhookChange = v.InferOutput<typeof WebhookChange>;

/**
 * `disabledBecause` is null unless the master itself disabled it: `gone` for a receiver that answered 410. `failures`
 * counts attempts that failed since the last that did not, `waiting` what is still to be delivered. `secretRotatedUntil`
 * is until when the secret before signs too.
 */
export const Webhook = v.object({
  id: Id,
  name: DisplayName,
  url: v.pipe(v.string(), v.examples(['https://hooks.example.com/postern'])),
  events: v.nullable(v.array(EventType)),
  enabled: v.boolean(),
  disabledBecause: v.nullable(v.picklist(['gone'])),
  createdAt: Timestamp,
  failures: Count,
  waiting: Count,
  nextAttemptAt: v.nullable(Timestamp),
  secretRotatedUntil: v.nullable(Timestamp),
});
export type Webhook = v.InferOutput<typeof Webhook>;

/** The one time a secret is shown. */
export const IssuedWebhook = v.object({
  ...Webhook.entries,
  secret: v.pipe(v.string(), v.examples(['whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD9Zm4tPzQ0uE='])),
});
export type IssuedWebhook = v.InferOutput<typeof IssuedWebhook>;

/** Why an attempt failed. `status` is an answer other than 2xx, redirects included: none is followed. */
export const DeliveryProblem = v.picklist([
  'name-unknown',
  'address-refused',
  'unreachable',
  'certificate-refused',
  'timeout',
  'status',
  'secret-unreadable',
  'too-old',
  'queue-full',
]);
export type DeliveryProblem = v.InferOutput<typeof DeliveryProblem>;

/** `dead` is given up for good. `eventId` is the `webhook-id` of each attempt. */
export const Delivery = v.object({
  eventId: v.pipe(v.string(), v.examples(['evt_0193b0a47c1e7d2a9f3e2a6b8c4d1e5f'])),
  type: v.string(),
  state: v.picklist(['waiting', 'delivered', 'dead']),
  createdAt: Timestamp,
  attempts: Count,
  lastAttemptAt: v.nullable(Timestamp),
  lastStatus: v.nullable(Count),
  problem: v.nullable(DeliveryProblem),
});
export type Delivery = v.InferOutput<typeof Delivery>;

/** What became of a test, which is sent once and at once. */
export const TestResult = v.object({
  delivered: v.boolean(),
  status: v.nullable(Count),
  problem: v.nullable(DeliveryProblem),
});
export type TestResult = v.InferOutput<typeof TestResult>;

/**
 * The body of a delivery. `timestamp` is when it happened. `actor` is who did it, `subject` the id or name of what it was
 * done to, `act` what it is called in the audit log; the rest depends on the act.
 */
export const WebhookPayload = v.object({
  type: v.string(),
  timestamp: Timestamp,
  data: v.looseObject({ actor: v.string(), subject: v.string() }),
});
export type WebhookPayload = v.InferOutput<typeof WebhookPayload>;
