import type { WebhookList } from '#contract/lists.ts';
import type { EventType, NewWebhook, Webhook, WebhookChange } from '#contract/webhook.ts';
import type { Result } from '../decisions/result.ts';
import { audit } from './audit.ts';
import { type Asked, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';

/** A webhook with its secrets, still sealed. */
export type StoredWebhook = Webhook & { sealed: Uint8Array };

type Row = {
  id: string;
  name: string;
  url: string;
  events: string | null;
  enabled: number;
  disabled_because: 'gone' | null;
  sealed: Uint8Array;
  rotated_until: string | null;
  created_at: string;
  failures: number;
  next_attempt_at: string;
  waiting: number;
};

/** Each event is written once for each of them. */
export const mostWebhooks = 32;

const columns = `id, name, url, events, enabled, disabled_because, sealed, rotated_until, created_at, failures,
  next_attempt_at, (SELECT count(*) FROM webhook_deliveries AS d WHERE d.webhook_id = webhooks.id AND d.state = 'waiting')
  AS waiting`;

const toWebhook = (row: Row): StoredWebhook => ({
  id: row.id,
  name: row.name,
  url: row.url,
  events: row.events === null ? null : (JSON.parse(row.events) as EventType[]),
  enabled: row.enabled === 1,
  disabledBecause: row.disabled_because,
  createdAt: row.created_at,
  failures: row.failures,
  waiting: row.waiting,
  nextAttemptAt: row.enabled === 1 && row.waiting > 0 ? row.next_attempt_at : null,
  secretRotatedUntil: row.rotated_until,
  sealed: row.sealed,
});

export type WebhookSort = NonNullable<WebhookList['sort']>;

export function pageOfWebhooks(store: Store, asked: Asked<WebhookSort>): Page<StoredWebhook> {
  const orders = { createdAt: 'created_at', name: 'name' };
  const page = readPage<Row>(store, { columns, table: 'webhooks', where: [], orders, id: 'id' }, asked);
  return { ...page, rows: page.rows.map(toWebhook) };
}

export function allWebhooks({ db }: Store): StoredWebhook[] {
  return db.query<Row, []>(`SELECT ${columns} FROM webhooks ORDER BY created_at, id`).all().map(toWebhook);
}

export function findWebhook({ db }: Store, id: string): StoredWebhook | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM webhooks WHERE id = ?`).get(id);
  return row === null ? undefined : toWebhook(row);
}

export function addWebhook(
  store: Store,
  wanted: NewWebhook,
  sealed: Uint8Array,
  actor: string,
  now: Date,
): Result<StoredWebhook> {
  return store.write((): Result<StoredWebhook> => {
    const total = store.db.query<{ total: number }, []>('SELECT count(*) AS total FROM webhooks').get()?.total ?? 0;
    if (total >= mostWebhooks)
      return { ok: false, reason: 'limit-reached', detail: `There are ${mostWebhooks} webhooks; remove one first.` };
    const id = Bun.randomUUIDv7();
    store.db
      .query(
        `INSERT INTO webhooks (id, name, url, events, sealed, created_at, next_attempt_at)
         VALUES ($id, $name, $url, $events, $sealed, $now, $now)`,
      )
      .run({
        id,
        name: wanted.name,
        url: wanted.url,
        events: wanted.events === undefined ? null : JSON.stringify(wanted.events),
        sealed,
        now: now.toISOString(),
      });
    const detail = { name: wanted.name, host: hostOf(wanted.url), events: wanted.events ?? null };
    audit(store, now, { actor, act: 'webhook.add', subject: id, detail });
    return found(store, id);
  });
}

/** Changes what is named. What waits is tried at once: somebody may just have repaired the receiver. */
export function changeWebhook(
  store: Store,
  id: string,
  change: WebhookChange,
  actor: string,
  now: Date,
): Result<StoredWebhook> {
  return store.write((): Result<StoredWebhook> => {
    const webhook = findWebhook(store, id);
    if (webhook === undefined) return { ok: false, reason: 'not-found' };
    const { name = webhook.name, url = webhook.url, events = webhook.events, enabled = webhook.enabled } = change;
    store.db
      .query(
        `UPDATE webhooks SET name = $name, url = $url, events = $events, enabled = $enabled,
           disabled_because = CASE WHEN $enabled = 1 THEN NULL ELSE disabled_because END,
           failures = 0, next_attempt_at = $now
         WHERE id = $id`,
      )
      .run({
        id,
        name,
        url,
        events: events === null ? null : JSON.stringify(events),
        enabled: enabled ? 1 : 0,
        now: now.toISOString(),
      });
    audit(store, now, {
      actor,
      act: 'webhook.change',
      subject: id,
      detail: { name, host: hostOf(url), events, enabled },
    });
    return found(store, id);
  });
}

export function rotateSecret(
  store: Store,
  id: string,
  next: { sealed: Uint8Array; until: Date },
  actor: string,
  now: Date,
): Result<StoredWebhook> {
  return store.write((): Result<StoredWebhook> => {
    const webhook = findWebhook(store, id);
    if (webhook === undefined) return { ok: false, reason: 'not-found' };
    store.db
      .query('UPDATE webhooks SET sealed = ?, rotated_until = ? WHERE id = ?')
      .run(next.sealed, next.until.toISOString(), id);
    audit(store, now, { actor, act: 'webhook.rotate-secret', subject: id, detail: { name: webhook.name } });
    return found(store, id);
  });
}

/** Removes a webhook with all that waits for it. */
export function removeWebhook(store: Store, id: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const webhook = findWebhook(store, id);
    if (webhook === undefined) return { ok: false, reason: 'not-found' };
    store.db.query('DELETE FROM webhooks WHERE id = ?').run(id);
    audit(store, now, { actor, act: 'webhook.remove', subject: id, detail: { name: webhook.name } });
    return { ok: true, value: undefined };
  });
}

function found(store: Store, id: string): Result<StoredWebhook> {
  const webhook = findWebhook(store, id);
  return webhook === undefined ? { ok: false, reason: 'not-found' } : { ok: true, value: webhook };
}

/** The path of a receiver may be what it knows its senders by. */
function hostOf(url: string): string {
  return new URL(url).host;
}
