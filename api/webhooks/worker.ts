import { pauseAfterFailure } from '../decisions/webhook-retry.ts';
import type { Master } from '../master.ts';
import {
  dueWebhooks,
  forgetOldDeliveries,
  nextDelivery,
  recordDelivered,
  recordFailed,
  type Waiting,
} from '../store/webhook-outbox.ts';
import { findWebhook } from '../store/webhooks.ts';
import { openSecrets, signedHeaders } from './secrets.ts';
import { type Outcome, send } from './send.ts';

export type WorkerParts = Pick<Master, 'store' | 'webhooks' | 'metrics' | 'now' | 'log'>;

const lookMilliseconds = 1_000;
const forgetMilliseconds = 600_000;
/** Receivers that are slow must not hold up all others, nor all together the master. */
const mostAtOnce = 16;

/**
 * Delivers what waits, each webhook's events one after the other in their order, and never twice at once. An attempt is
 * noted when it has ended: a master that dies in between sends the event again, under the same id.
 */
export function deliverWebhooks(parts: WorkerParts): { stop(): Promise<void> } {
  const { store, now, log } = parts;
  const stop = new AbortController();
  const running = new Map<string, Promise<void>>();

  const look = () => {
    if (stop.signal.aborted) return;
    try {
      for (const id of dueWebhooks(store, now())) {
        if (running.has(id) || running.size >= mostAtOnce) continue;
        const work = serveOne(parts, id, stop.signal)
          .catch((error) => log.error({ err: error, webhook: id }, 'a webhook could not be served; it is tried again'))
          .finally(() => running.delete(id));
        running.set(id, work);
      }
    } catch (error) {
      log.error({ err: error }, 'webhooks could not be looked at; it is tried again');
    }
  };
  const forget = () => {
    try {
      forgetOldDeliveries(store, now());
    } catch (error) {
      log.error({ err: error }, 'old deliveries of webhooks could not be removed; it is tried again');
    }
  };

  // Most of what happens raises the revision; the rest waits for the next look.
  store.onRevised(() => setImmediate(look));
  const looking = setInterval(look, lookMilliseconds);
  const forgetting = setInterval(forget, forgetMilliseconds);
  look();
  forget();
  return {
    async stop() {
      clearInterval(looking);
      clearInterval(forgetting);
      stop.abort();
      await Promise.allSettled(running.values());
    },
  };
}

async function serveOne(parts: WorkerParts, webhookId: string, stop: AbortSignal): Promise<void> {
  const { store, now } = parts;
  while (!stop.aborted) {
    const waiting = nextDelivery(store, webhookId, now());
    if (waiting === undefined) return;
    // What is not on the disk yet may never have happened.
    await store.settled();
    const outcome = await attempt(parts, webhookId, waiting, stop);
    if (outcome === undefined || stop.aborted) return;
    record(parts, webhookId, waiting, outcome);
    await store.settled();
  }
}

async function attempt(
  { store, webhooks: { box, sender }, now }: WorkerParts,
  webhookId: string,
  { eventId, payload }: Waiting,
  stop: AbortSignal,
): Promise<Outcome | undefined> {
  const webhook = findWebhook(store, webhookId);
  if (webhook === undefined) return undefined;
  const secrets = openSecrets(box, webhook.sealed);
  if (secrets === undefined) return { ok: false, problem: 'secret-unreadable', status: null };
  return send(sender, new URL(webhook.url), signedHeaders(secrets, eventId, payload, now()), payload, stop);
}

function record({ store, now, metrics }: WorkerParts, webhookId: string, { number }: Waiting, outcome: Outcome): void {
  metrics.webhooks.attempted(outcome.ok ? 'delivered' : 'failed');
  if (outcome.ok) {
    recordDelivered(store, webhookId, number, outcome.status, now());
    return;
  }
  const { problem, status, retryAfterSeconds } = outcome;
  const failures = (findWebhook(store, webhookId)?.failures ?? 0) + 1;
  const pause = pauseAfterFailure(failures, Math.random(), retryAfterSeconds);
  // 410: the receiver says that it wants no more.
  const next = status === 410 ? 'never' : new Date(now().getTime() + pause);
  metrics.webhooks.gaveUp(recordFailed(store, webhookId, number, { problem, status, next }, now()));
}
