import { Counter, Gauge, type Registry } from 'prom-client';
import type { Store } from '../store/open.ts';
import { outboxFigures } from '../store/webhook-outbox.ts';

/** Counts what becomes of events on their way out. */
export type WebhookMetrics = { attempted(result: 'delivered' | 'failed'): void; gaveUp(events: number): void };

export function webhookFamilies(registry: Registry, store: Store, now: () => Date): WebhookMetrics {
  const registers = [registry];
  const attempts = new Counter({
    name: 'postern_webhook_attempts_total',
    help: 'Attempts to deliver an event to a webhook, by result.',
    labelNames: ['result'],
    registers,
  });
  const dead = new Counter({
    name: 'postern_webhook_dead_total',
    help: 'Events that were given up for a webhook.',
    registers,
  });
  new Gauge({
    name: 'postern_webhook_waiting',
    help: 'Events that wait to be delivered, counted for each webhook.',
    registers,
    collect() {
      const { waiting, oldest: since } = outboxFigures(store);
      this.set(waiting);
      oldest.set(since === null ? 0 : Math.max(0, (now().getTime() - Date.parse(since)) / 1000));
    },
  });
  const oldest = new Gauge({
    name: 'postern_webhook_oldest_waiting_seconds',
    help: 'How long the oldest of them has waited; 0 when none does.',
    registers,
  });
  return { attempted: (result) => attempts.inc({ result }), gaveUp: (events) => dead.inc(events) };
}
