import { Gauge, Registry } from 'prom-client';
import type { RecordedOutage } from '#contract/outage.ts';
import { version } from '../../package.json';
import { addInstallationFamilies, type Installation } from './installation.ts';
import { outageFamilies } from './outages.ts';
import { addProcessFamilies } from './process.ts';
import { type Answered, requestFamilies } from './requests.ts';
import { type WebhookMetrics, webhookFamilies } from './webhooks.ts';

/** The figures of a running master, as Prometheus reads them. */
export type Metrics = {
  readonly registry: Registry;
  answered(answered: Answered): void;
  readonly webhooks: WebhookMetrics;
  outages(outages: readonly RecordedOutage[]): void;
  /** The text exposition, and what to call it. */
  expose(): Promise<{ text: string; type: string }>;
};

export function newMetrics(installation: Installation): Metrics {
  const registry = new Registry();
  new Gauge({
    name: 'postern_build_info',
    help: 'The version of Postern and of Bun that run; always 1.',
    labelNames: ['version', 'bun'],
    registers: [registry],
  }).set({ version, bun: Bun.version }, 1);
  addProcessFamilies(registry);
  addInstallationFamilies(registry, installation);
  return {
    registry,
    answered: requestFamilies(registry),
    webhooks: webhookFamilies(registry, installation.store, installation.now),
    outages: outageFamilies(registry),
    expose: async () => ({ text: await registry.metrics(), type: registry.contentType }),
  };
}
