import { currentLoad, mem } from 'systeminformation';
import type { Load } from '#contract/agent.ts';

/** Looks at the machine's load in the background: the first look takes half a second, and nobody should wait for it. */
export function watchLoad(everyMs = 30_000): { latest(): Load | undefined; stop(): void } {
  let latest: Load | undefined;
  let isBusy = false;
  const look = async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      const [cpu, memory] = await Promise.all([currentLoad(), mem()]);
      latest = { cpu: cpu.currentLoad, memoryUsedBytes: memory.active, memoryTotalBytes: memory.total };
    } catch {
      // A machine that does not tell its load is still a node.
      latest = undefined;
    } finally {
      isBusy = false;
    }
  };
  look();
  const timer = setInterval(look, everyMs);
  return { latest: () => latest, stop: () => clearInterval(timer) };
}
