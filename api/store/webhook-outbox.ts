import type { DeliveryList } from '#contract/lists.ts';
import type { Delivery, DeliveryProblem } from '#contract/webhook.ts';
import type { Event } from '../decisions/webhook-events.ts';
import { longestWaitMilliseconds } from '../decisions/webhook-retry.ts';
import { type Asked, equal, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';

/** Of all webhooks together. Beyond it the oldest are given up: a receiver that is away must not fill the disk. */
const mostKept = 100_000;
const keptMilliseconds = 7 * 86_400_000;

/** An event on its way to one webhook. */
export type Waiting = { number: number; eventId: string; type: string; payload: string; attempts: number };

/** Writes an event down for every webhook that is told of it: part of the transaction in which it happens. */
export function queueEvent({ db }: Store, event: Event, now: Date): void {
  const receivers = db
    .query<{ id: string }, [string]>(
      `SELECT id FROM webhooks
       WHERE enabled = 1 AND (events IS NULL OR EXISTS (SELECT 1 FROM json_each(events) WHERE value = ?))`,
    )
    .all(event.type);
  if (receivers.length === 0) return;
  const { type, actor, subject, detail } = event;
  const eventId = `evt_${Bun.randomUUIDv7().replaceAll('-', '')}`;
  const at = now.toISOString();
  const payload = JSON.stringify({ type, timestamp: at, data: { ...detail, actor, subject } });
  for (const { id } of receivers) {
    const added = db
      .query<{ number: number }, [Record<string, string>]>(
        `INSERT INTO webhook_deliveries (webhook_id, event_id, type, payload, created_at)
         VALUES ($id, $eventId, $type, $payload, $at) RETURNING number`,
      )
      .get({ id, eventId, type, payload, at });
    giveUp(db, { webhookId: id, problem: 'queue-full', at, upTo: (added?.number ?? 0) - mostKept });
  }
}

/** The oldest event that waits for a webhook whose time has come. */
export function nextDelivery({ db }: Store, webhookId: string, now: Date): Waiting | undefined {
  const row = db
    .query<Waiting, [string, string]>(
      `SELECT number, event_id AS eventId, type, payload, attempts FROM webhook_deliveries
       WHERE state = 'waiting' AND webhook_id =
         (SELECT id FROM webhooks WHERE id = ? AND enabled = 1 AND next_attempt_at <= ?)
       ORDER BY number LIMIT 1`,
    )
    .get(webhookId, now.toISOString());
  return row ?? undefined;
}

/** The webhooks for which something waits and whose time has come. */
export function dueWebhooks({ db }: Store, now: Date): string[] {
  return db
    .query<{ id: string }, [string]>(
      `SELECT id FROM webhooks WHERE enabled = 1 AND next_attempt_at <= ?
         AND EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.webhook_id = webhooks.id AND d.state = 'waiting')`,
    )
    .all(now.toISOString())
    .map(({ id }) => id);
}

export function recordDelivered(store: Store, webhookId: string, number: number, status: number, now: Date): void {
  store.write(() => {
    const at = now.toISOString();
    store.db
      .query(
        `UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1, last_attempt_at = $at,
           last_status = $status, problem = NULL, done_at = $at
         WHERE number = $number AND state = 'waiting'`,
      )
      .run({ number, status, at });
    store.db.query('UPDATE webhooks SET failures = 0 WHERE id = ? AND failures > 0').run(webhookId);
  });
}

/** What follows from a failed attempt: the next one, or that the receiver is gone and asks for no more. */
export type Failed = { problem: DeliveryProblem; status: number | null; next: Date | 'never' };

/** Notes a failed attempt, and gives up what has waited for too long. @returns how many were given up. */
export function recordFailed(store: Store, webhookId: string, number: number, failed: Failed, now: Date): number {
  return store.write(() => {
    const { db } = store;
    const at = now.toISOString();
    db.query(
      `UPDATE webhook_deliveries SET attempts = attempts + 1, last_attempt_at = $at, last_status = $status,
         problem = $problem
       WHERE number = $number`,
    ).run({ number, at, status: failed.status, problem: failed.problem });
    if (failed.next === 'never') {
      db.query(`UPDATE webhooks SET enabled = 0, disabled_because = 'gone', failures = failures + 1 WHERE id = ?`).run(
        webhookId,
      );
      return giveUp(db, { webhookId, problem: failed.problem, at, upTo: Number.MAX_SAFE_INTEGER });
    }
    db.query('UPDATE webhooks SET failures = failures + 1, next_attempt_at = ? WHERE id = ?').run(
      failed.next.toISOString(),
      webhookId,
    );
    const oldest = new Date(now.getTime() - longestWaitMilliseconds).toISOString();
    const last = db
      .query<{ number: number | null }, [string, string]>(
        `SELECT max(number) AS number FROM webhook_deliveries
         WHERE webhook_id = ? AND state = 'waiting' AND created_at < ?`,
      )
      .get(webhookId, oldest);
    return giveUp(db, { webhookId, problem: 'too-old', at, upTo: last?.number ?? 0 });
  });
}

type GivenUp = { webhookId: string; problem: DeliveryProblem; at: string; upTo: number };

/** What an attempt has met stays as the reason. */
function giveUp(db: Store['db'], { webhookId, problem, at, upTo }: GivenUp): number {
  if (upTo <= 0) return 0;
  return db
    .query(
      `UPDATE webhook_deliveries SET state = 'dead', problem = coalesce(problem, $problem), done_at = $at
       WHERE webhook_id = $webhookId AND state = 'waiting' AND number <= $upTo`,
    )
    .run({ webhookId, problem, at, upTo }).changes;
}

/** Forgets what was delivered or given up a week ago. */
export function forgetOldDeliveries(store: Store, now: Date): void {
  const before = new Date(now.getTime() - keptMilliseconds).toISOString();
  const old = store.db.query('SELECT 1 FROM webhook_deliveries WHERE done_at < ? LIMIT 1').get(before);
  if (old === null) return;
  store.write(() => void store.db.query('DELETE FROM webhook_deliveries WHERE done_at < ?').run(before));
}

type DeliveryRow = {
  eventId: string;
  type: string;
  state: Delivery['state'];
  createdAt: string;
  attempts: number;
  lastAttemptAt: string | null;
  lastStatus: number | null;
  problem: DeliveryProblem | null;
};

export function pageOfDeliveries(
  store: Store,
  webhookId: string,
  { state }: Pick<DeliveryList, 'state'>,
  asked: Asked<NonNullable<DeliveryList['sort']>>,
): Page<Delivery> {
  return readPage<DeliveryRow>(
    store,
    {
      columns: `event_id AS eventId, type, state, created_at AS createdAt, attempts, last_attempt_at AS lastAttemptAt,
        last_status AS lastStatus, problem`,
      table: 'webhook_deliveries',
      where: [equal('webhook_id', 'webhookId', webhookId), equal('state', 'state', state)],
      orders: { createdAt: 'number' },
      id: `''`,
    },
    asked,
  );
}

/** How much waits, and since when. */
export function outboxFigures({ db }: Store): { waiting: number; oldest: string | null } {
  return (
    db
      .query<{ waiting: number; oldest: string | null }, []>(
        `SELECT count(*) AS waiting, min(created_at) AS oldest FROM webhook_deliveries WHERE state = 'waiting'`,
      )
      .get() ?? { waiting: 0, oldest: null }
  );
}
