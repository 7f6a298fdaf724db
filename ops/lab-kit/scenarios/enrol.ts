import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { addUsers, type BareMaster, invite, makeState, type Redemption, startMaster } from '../bare-master.ts';
import type { Enrolled } from '../programs/enroller.ts';
import { expect, median, type Scenario } from '../scenario.ts';

const PerSecond = v.pipe(v.number(), v.minValue(1));
const Milliseconds = v.pipe(v.number(), v.minValue(0));

const programs = join(import.meta.dir, '..', 'programs');
const connections = 32;
const usersOfEach = 50;
/** Together with one a minute later they stay far below what one address may ask for. */
const addressesOfARound = 256;

/** What one round measured: enrolments in a second, and the 99th percentile of one. */
type Round = { perSecond: number; p99: number };

export const enrol: Scenario = {
  name: 'enrol',
  description: 'durable enrolments in a second, with and without shared commits, and what Bun does at most',
  topology: `
 32 devices, each from its own 127.x.y.z -- TLS --> a master whose acts share commits
                                         -- TLS --> a master whose acts have one commit each
                                         -- TLS --> Bun.serve that only reads and writes JSON
`,
  figures: v.object({
    enrol_per_s: PerSecond,
    enrol_p99_ms: Milliseconds,
    ungrouped_per_s: PerSecond,
    ungrouped_p99_ms: Milliseconds,
    ceiling_per_s: PerSecond,
    master_rss_mb: v.pipe(v.number(), v.minValue(1)),
  }),
  async run({ short, step, check }) {
    // On a disk: where /tmp is memory, waiting for the disk would cost nothing.
    const folder = mkdtempSync('/var/tmp/postern-enrol-');
    const running: { end(): Promise<void> }[] = [];
    try {
      const { masters, ceiling } = await step('two masters, and a server that stores nothing', async () => {
        const grouped = await bench(join(folder, 'grouped'), []);
        running.push(grouped.master);
        const ungrouped = await bench(join(folder, 'ungrouped'), ['--commit-batch', '1']);
        running.push(ungrouped.master);
        const bare = await startCeiling(join(folder, 'grouped', 'master', 'tls'));
        running.push(bare);
        return { masters: { grouped, ungrouped }, ceiling: bare };
      });

      const size = short ? 120 : 600;
      let address = addressesOfARound;
      const next = () => (address += addressesOfARound);
      const onMaster = async ({ master, userIds }: Bench, count: number) =>
        load(master.url, await invite(master, userIds, count), next());
      const onCeiling = (count: number) =>
        load(
          ceiling.url,
          Array.from({ length: count }, () => anybody),
          next(),
        );

      await step('each once, to warm up', async () => {
        for (const one of [masters.grouped, masters.ungrouped]) await onMaster(one, size / 3);
        await onCeiling(size);
      });
      const rounds = { grouped: [] as Round[], ungrouped: [] as Round[], ceiling: [] as Round[] };
      for (let round = 1; round <= (short ? 1 : 15); round++) {
        await step(`round ${round}: ${size} enrolments on each`, async (note) => {
          rounds.grouped.push(await onMaster(masters.grouped, size));
          rounds.ungrouped.push(await onMaster(masters.ungrouped, size));
          rounds.ceiling.push(await onCeiling(4 * size));
          const last = (list: readonly Round[]) => `${list.at(-1)?.perSecond}/s`;
          note(`${last(rounds.grouped)}, ${last(rounds.ungrouped)} ungrouped, ceiling ${last(rounds.ceiling)}`);
        });
      }
      const middle = (list: readonly Round[], figure: keyof Round) => median(list.map((round) => round[figure]));
      const figures = {
        enrol_per_s: middle(rounds.grouped, 'perSecond'),
        enrol_p99_ms: middle(rounds.grouped, 'p99'),
        ungrouped_per_s: middle(rounds.ungrouped, 'perSecond'),
        ungrouped_p99_ms: middle(rounds.ungrouped, 'p99'),
        ceiling_per_s: middle(rounds.ceiling, 'perSecond'),
        master_rss_mb: residentMb(masters.grouped.master.pid),
      };
      // A short round is over before it says anything about speed.
      if (!short) {
        await check('shared commits enrol at least twice as many, and let none wait longer', async () => {
          const ratio = figures.enrol_per_s / figures.ungrouped_per_s;
          expect(ratio >= 2, () => `only ${ratio.toFixed(2)} times as many`);
          expect(figures.enrol_p99_ms <= figures.ungrouped_p99_ms, () => `p99 is ${figures.enrol_p99_ms} ms`);
        });
      }
      return figures;
    } finally {
      await Promise.all(running.map((one) => one.end()));
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

type Bench = { master: BareMaster; userIds: readonly string[] };

async function bench(stateDir: string, options: readonly string[]): Promise<Bench> {
  const master = await startMaster(await makeState(stateDir), options);
  const names = Array.from({ length: usersOfEach }, (_, i) => `user${i}`);
  return { master, userIds: await addUsers(master, names) };
}

async function startCeiling(tlsFolder: string) {
  const files = [join(tlsFolder, 'cert.pem'), join(tlsFolder, 'key.pem')];
  const child = Bun.spawn([process.execPath, join(programs, 'ceiling.ts'), ...files], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const { value } = await child.stdout.getReader().read();
  return {
    url: new TextDecoder().decode(value).trim(),
    async end() {
      child.kill();
      await child.exited;
    },
  };
}

const anybody: Redemption = {
  code: 'JKF77-C3V59-EEGK7-C49GD-YG8XR',
  publicKey: `${'A'.repeat(42)}E=`,
  credentialKey: 'A'.repeat(43),
  deviceName: 'laptop',
  platform: 'linux',
};

/** Redeems and confirms as fast as it is answered. @throws when a single one failed. */
export async function load(url: string, requests: readonly Redemption[], firstAddress: number): Promise<Round> {
  const child = Bun.spawn([process.execPath, join(programs, 'enroller.ts')], {
    stdin: Buffer.from(JSON.stringify({ url, firstAddress, connections, requests })),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const { milliseconds, latencies, failures }: Enrolled = JSON.parse(await child.stdout.text());
  expect(failures.length === 0, () => `${failures.length} failed, the first with ${failures[0]}`);
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round((latencies.length * 1000) / milliseconds),
    p99: Math.round((latencies[Math.floor(latencies.length * 0.99)] ?? 0) * 10) / 10,
  };
}

/** VmRSS of proc(5), in MB of 1,000,000 bytes. */
function residentMb(pid: number): number {
  const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return Math.round((kibibytes * 1024) / 100_000) / 10;
}
