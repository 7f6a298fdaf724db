import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

/**
 * Of what prom-client says about a process, what is true on Bun and stands by itself. Left out: memory by V8's spaces and
 * the collector's pauses (Bun has neither), the heap as /proc sees it (it counts what is merely reserved), handles and
 * requests under way (always 0), and the version of a Node that this is not.
 */
const kept = new Set([
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'process_open_fds',
  'process_max_fds',
]);

/** Looking more often costs a process that has nothing to do more than it tells. */
const delayMilliseconds = 50;

/** Adds what is true of this process itself. */
export function addProcessFamilies(registry: Registry): void {
  // Its measuring of the event loop goes on although its families go. Bun has one for all, at the pace of the first.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: delayMilliseconds });
  for (const { name } of registry.getMetricsAsArray()) {
    if (/^(?:process|nodejs)_/.test(name) && !kept.has(name)) registry.removeSingleMetric(name);
  }
  addEventLoopDelay(registry);
}

/** A master that is too busy shows here first. */
function addEventLoopDelay(registry: Registry): void {
  const delay = monitorEventLoopDelay({ resolution: delayMilliseconds });
  delay.enable();
  new Gauge({
    name: 'postern_event_loop_delay_seconds',
    help: 'How late the event loop was since the last look: the worst, and what 99 of 100 stayed below.',
    labelNames: ['quantile'],
    registers: [registry],
    collect() {
      this.set({ quantile: '0.99' }, delay.percentile(99) / 1e9);
      this.set({ quantile: '1' }, delay.max / 1e9);
      delay.reset();
    },
  });
}
