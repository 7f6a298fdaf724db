import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { Host } from '../host.ts';
import { expect, type Scenario } from '../scenario.ts';
import { machineAtHome, officeTopology, openOffice } from './office.ts';
import { joinByHand, makeUser, masterOn, up } from './product.ts';

const Megabytes = v.pipe(v.number(), v.minValue(1));
const goalMb = 70;

/** What each program is known by, and where it runs. */
const programs = {
  master_rss_mb: { on: 'node', argv: /api\/main\.ts serve/ },
  agent_rss_mb: { on: 'node', argv: /agent\/main\.ts run/ },
  client_rss_mb: { on: 'laptop', argv: /postern-client.* watch/ },
} as const;

export const memory: Scenario = {
  name: 'memory',
  description: 'what master, agent and a client that has nothing to do keep in memory',
  topology: officeTopology,
  figures: v.object({ master_rss_mb: Megabytes, agent_rss_mb: Megabytes, client_rss_mb: Megabytes }),
  async run({ lab, short, step, check }) {
    const hosts = await step('a node, and a laptop that is inside', async () => {
      const office = await openOffice(lab);
      await up(office.node);
      const master = await masterOn(office.node);
      const laptop = await machineAtHome(lab, office, 'laptop');
      await joinByHand(master, laptop, await makeUser(master, 'ana@example.com', 'admin'));
      return { node: office.node, laptop };
    });
    const quietSeconds = short ? 5 : 40;
    const figures = await step(`after ${quietSeconds} s with nothing to do`, async () => {
      await Bun.sleep(quietSeconds * 1000);
      const read = (name: keyof typeof programs) => residentMb(hosts[programs[name].on], programs[name].argv);
      return {
        master_rss_mb: read('master_rss_mb'),
        agent_rss_mb: read('agent_rss_mb'),
        client_rss_mb: read('client_rss_mb'),
      };
    });
    await check(`the client keeps at most ${goalMb} MB`, async () => {
      expect(figures.client_rss_mb <= goalMb, () => `it keeps ${figures.client_rss_mb} MB`);
    });
    return figures;
  },
};

/** VmRSS of proc(5), in MB of 1,000,000 bytes: all pages, those that it shares with others included. */
function residentMb(host: Host, argv: RegExp): number {
  const found = host.processes().find((process) => argv.test(process.argv));
  const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${found?.pid ?? 'none'}/status`, 'utf8'))?.[1]);
  return Math.round((kibibytes * 1024) / 100_000) / 10;
}
