import { randomBytes } from 'node:crypto';
import { Webhook as Signer } from 'standardwebhooks';
import * as v from 'valibot';
import type { SecretBox } from '../keys/secret-box.ts';

/** The secrets of a webhook. Those that were rotated away sign too, until their time is over. */
const Secrets = v.object({
  current: v.string(),
  former: v.array(v.object({ secret: v.string(), until: v.string() })),
});
export type Secrets = v.InferOutput<typeof Secrets>;

const purpose = 'webhook';
const overlapMilliseconds = 86_400_000;
/** So that a rotation whose answer was lost can be done again. */
const mostFormer = 3;

export function newSecrets(): Secrets {
  return { current: newSecret(), former: [] };
}

/** A new secret takes over; for a day the ones before sign too. */
export function rotated({ current, former }: Secrets, now: Date): { secrets: Secrets; until: Date } {
  const until = new Date(now.getTime() + overlapMilliseconds);
  const kept = [{ secret: current, until: until.toISOString() }, ...former].slice(0, mostFormer);
  return { secrets: { current: newSecret(), former: kept }, until };
}

export function sealSecrets(box: SecretBox, secrets: Secrets): Uint8Array {
  return box.seal(JSON.stringify(secrets), purpose);
}

/** @returns undefined when the key with which they were sealed is not here any more. */
export function openSecrets(box: SecretBox, sealed: Uint8Array): Secrets | undefined {
  const text = box.open(sealed, purpose);
  return text === undefined ? undefined : v.parse(Secrets, JSON.parse(text));
}

/** The headers of one attempt, as the Standard Webhooks specification has them. */
export function signedHeaders(
  { current, former }: Secrets,
  eventId: string,
  body: string,
  now: Date,
): Record<string, string> {
  const signing = [current, ...former.filter(({ until }) => until > now.toISOString()).map(({ secret }) => secret)];
  return {
    'webhook-id': eventId,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': signing.map((secret) => new Signer(secret).sign(eventId, now, body)).join(' '),
  };
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
