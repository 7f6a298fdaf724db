import { join } from 'node:path';
import * as v from 'valibot';
import { Asked } from './asked.ts';
import { patience } from './command.ts';
import type { Host } from './host.ts';
import type { Silence } from './silence.ts';

const SilenceSchema = v.object({
  longestMs: v.number(),
  startedAt: v.number(),
  open: v.boolean(),
  answered: v.number(),
  failed: v.number(),
}) satisfies v.GenericSchema<unknown, Silence>;

export const sampleEveryMs = 20;
const patienceMs = 2_000;

/** A machine that asks a service by a new connection every 20 ms or so, for as long as it lives. */
export class Sampler {
  readonly host: Host;
  private readonly program: Asked;

  constructor(host: Host, url: string, everyMs = sampleEveryMs) {
    this.host = host;
    const settings = [url, `${everyMs}`, `${patienceMs}`];
    this.program = new Asked(host, ['bun', join(import.meta.dir, 'programs/sampler.ts'), ...settings]);
  }

  /** Between two moments, in ms since 1970. */
  silence(from: number, to: number): Promise<Silence> {
    return this.program.ask(SilenceSchema, { from, to });
  }

  async end(): Promise<void> {
    await this.program.end();
  }

  /** Waits until it has been answered without a pause for so long. @throws when that takes longer than the limit. */
  async steady(forMs = 1_000, limitMs = 60_000): Promise<void> {
    const deadline = Date.now() + limitMs * patience;
    for (;;) {
      const to = Date.now();
      const { longestMs, answered } = await this.silence(to - forMs, to);
      if (answered > 0 && longestMs < Math.min(400, forMs)) return;
      if (to > deadline) throw new Error(`${this.host.name} is not answered steadily within ${limitMs / 1000} s`);
      await Bun.sleep(100);
    }
  }
}
