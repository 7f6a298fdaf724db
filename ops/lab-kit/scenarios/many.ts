import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import * as v from 'valibot';
import type { Host } from '../host.ts';
import { blackhole } from '../router.ts';
import { Sampler } from '../sampler.ts';
import { expect, type Scenario } from '../scenario.ts';
import { Spread, spreadOf } from '../spread.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { landmarksOf, nodeOf, settled } from './cluster-state.ts';
import { clusterTopology, lan, machineAbroad, machineNearby } from './cluster-world.ts';
import { makeCode } from './product.ts';
import { until } from './restore-world.ts';

const extents = { short: { clients: 6, repetitions: 1 }, long: { clients: 40, repetitions: 5 } } as const;
const goalMs = 1_000;
/** Fewer than elsewhere: all samplers and all nodes share this machine. */
const sampleMs = 100;
const joinAtOnce = 3;
const loadWindowMs = 2_000;
const ticksPerSecond = 100;

export const many: Scenario = {
  name: 'many',
  description: 'many devices, half of them behind either NAT, lose their node at the same moment',
  topology: clusterTopology,
  figures: v.strictObject({
    clients: v.number(),
    sample_ms: v.number(),
    cores: v.number(),
    memory_gb: v.number(),
    outage: Spread,
    /** Of one core, in percent: all that runs on the node that everybody goes to, before and in the two seconds after. */
    new_node: v.strictObject({ before_percent: v.number(), after_percent: v.number() }),
    everybody_there_ms: v.number(),
  }),
  async run({ lab, step, check, short }) {
    const extent = short ? extents.short : extents.long;
    const cluster = await step('three nodes', () => openCluster(lab));
    const hosts = await step(`${extent.clients} devices are inside`, () => joinMany(cluster, extent.clients));
    const landmarks = await landmarksOf(cluster.world, cluster.master.node);
    const samplers = hosts.map((host) => new Sampler(host, `http://${lan.intranet}/`, sampleMs));

    const outages: number[] = [];
    const loads: { before: number; after: number; thereMs: number }[] = [];
    for (let round = 1; round <= extent.repetitions; round += 1) {
      await step(`the active node dies for all of them (${round})`, async (note) => {
        const victim = await settled(cluster, landmarks, hosts);
        await Promise.all(samplers.map((sampler) => sampler.steady()));
        const others = cluster.world.nodes.filter((node) => node !== victim);
        const before = await loadOf(others.map(({ host }) => host));
        await Bun.sleep(Math.random() * 2_000);
        const from = Date.now();
        await blackhole(cluster.world.internet, `to-${victim.name}`, true);
        const after = await loadOf(others.map(({ host }) => host));
        const away = async () =>
          (await Promise.all(hosts.map((host) => nodeOf(host, landmarks)))).every((node) => node !== victim);
        await until('everybody is on another node', away, 30_000);
        const thereMs = Date.now() - from;
        await Promise.all(samplers.map((sampler) => sampler.steady(500, 30_000)));
        const to = Date.now();
        for (const sampler of samplers) outages.push((await sampler.silence(from, to)).longestMs);
        await blackhole(cluster.world.internet, `to-${victim.name}`, false);
        loads.push({ before: Math.max(...before), after: Math.max(...after), thereMs });
        const { p50_ms, p95_ms, max_ms } = spreadOf(outages);
        note(
          `p50 ${p50_ms}, p95 ${p95_ms}, max ${max_ms} ms until now; the busiest node ${Math.max(...after)} % of a core`,
        );
      });
    }
    const outage = spreadOf(outages);
    if (!short)
      await check(`within ${goalMs} ms`, async () => expect(outage.p95_ms <= goalMs, () => `p95 ${outage.p95_ms} ms`));
    return {
      clients: extent.clients,
      sample_ms: sampleMs,
      cores: cpus().length,
      memory_gb: Math.round(totalmem() / 2 ** 30),
      outage,
      new_node: {
        before_percent: Math.max(...loads.map(({ before }) => before)),
        after_percent: Math.max(...loads.map(({ after }) => after)),
      },
      everybody_there_ms: Math.max(...loads.map(({ thereMs }) => thereMs)),
    };
  },
};

async function joinMany({ world, master, admin }: Cluster, count: number): Promise<Host[]> {
  const hosts: Host[] = [];
  for (let number = 1; number <= count; number += 1) {
    hosts.push(await (number % 2 === 0 ? machineAbroad : machineNearby)(world, `c${number}`));
  }
  const waiting = [...hosts];
  const joiner = async () => {
    for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) {
      const { code, join } = await makeCode(master, admin);
      await host.must(['sh', '-c', join.sh], { cwd: '/root', env: { POSTERN_CODE: code }, timeoutMs: 60_000 });
    }
  };
  await Promise.all(Array.from({ length: joinAtOnce }, joiner));
  return hosts;
}

/** How much of one core all programs of each host take for a while, in percent. */
async function loadOf(hosts: readonly Host[]): Promise<number[]> {
  const spent = () => hosts.map((host) => host.processes().reduce((sum, { pid }) => sum + ticksOf(pid), 0));
  const [before, start] = [spent(), performance.now()];
  await Bun.sleep(loadWindowMs);
  const seconds = (performance.now() - start) / 1_000;
  return spent().map((ticks, index) => Math.round(((ticks - (before[index] ?? 0)) / ticksPerSecond / seconds) * 100));
}

function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
