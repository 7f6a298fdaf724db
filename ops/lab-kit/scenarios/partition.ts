import { join } from 'node:path';
import * as v from 'valibot';
import { User } from '#contract/admin.ts';
import type { Host } from '../host.ts';
import { repository } from '../paths.ts';
import { blackhole } from '../router.ts';
import { type Context, expect, type Scenario } from '../scenario.ts';
import { type Cluster, joinCluster, openCluster } from './cluster.ts';
import { holders, type Landmarks, landmarksOf, settled, Watchers } from './cluster-state.ts';
import { clusterTopology, machineNearby, type NodePlace } from './cluster-world.ts';
import { openWay, type Way } from './failover-trial.ts';
import { stateDir } from './product.ts';
import { until } from './restore-world.ts';

const extents = { short: { heldMs: 3_000, flaps: 0 }, long: { heldMs: 30_000, flaps: 10 } } as const;
const meshPort = 51_821;
/** Devices change nodes at most once in this time, unless theirs is dead. */
const calmMs = 10_000;
const Milliseconds = v.pipe(v.number(), v.minValue(0));

/** Switches within any ten seconds, and the longest silence, of the one device. */
const Calm = v.strictObject({ switches: v.number(), most_in_10_s: v.number(), longest_silence_ms: Milliseconds });
type Calm = v.InferOutput<typeof Calm>;

export const partition: Scenario = {
  name: 'partition',
  description:
    'nodes that no longer see each other both claim the address; devices stay calm, the database stays whole',
  topology: clusterTopology,
  figures: v.strictObject({
    both_claim_ms: Milliseconds,
    mesh_cut: Calm,
    stale_return: Calm,
    flapping: v.exactOptional(Calm),
  }),
  async run(context) {
    const { lab, step, check, short } = context;
    const extent = short ? extents.short : extents.long;
    const cluster = await step('three nodes and a laptop', async () => {
      const opened = await openCluster(lab);
      const host = await machineNearby(opened.world, 'laptop');
      await joinCluster(opened, host);
      const landmarks = await landmarksOf(opened.world, opened.master.node);
      await settled(opened, landmarks, [host]);
      return { opened, landmarks, way: openWay(host) };
    });
    const { opened, landmarks, way } = cluster;

    const cut = await cutMesh(context, opened, landmarks, way, extent.heldMs);
    const stale_return = await returnStale(context, opened, landmarks, way);
    const flapping = extent.flaps === 0 ? undefined : await flap(context, opened, landmarks, way, extent.flaps);
    await check('the database is whole', async (note) => note(await checkDatabase(opened)));
    return { ...cut, stale_return, ...(flapping === undefined ? {} : { flapping }) };
  },
};

/** The active node no longer hears the others, nor they it; everybody else reaches all of them. */
async function cutMesh({ step }: Context, cluster: Cluster, landmarks: Landmarks, way: Way, heldMs: number) {
  const victim = await settled(cluster, landmarks, [way.host]);
  const watched = await watch(cluster, landmarks, way);
  const both_claim_ms = await step('the mesh is cut around the active node, and two claim the address', async () => {
    await meshAround(cluster.world.internet, victim, '-I');
    const two = async () => (await holders(cluster.world, landmarks.vip)).length >= 2;
    return until('two nodes claim the address', two, 30_000);
  });
  const mesh_cut = await step('the laptop stays calm while it lasts, and when it is over', async (note) => {
    await addPerson(cluster, 'during-the-cut@example.com');
    await Bun.sleep(heldMs);
    await meshAround(cluster.world.internet, victim, '-D');
    await settled(cluster, landmarks, [way.host]);
    return watched.judge(note);
  });
  return { both_claim_ms, mesh_cut };
}

/** The active node is cut off from everybody, is replaced, and comes back still believing that it is the one. */
async function returnStale({ step }: Context, cluster: Cluster, landmarks: Landmarks, way: Way): Promise<Calm> {
  return step('the active node is cut off, replaced, and comes back as if nothing had been', async (note) => {
    const victim = await settled(cluster, landmarks, [way.host]);
    const watched = await watch(cluster, landmarks, way);
    await blackhole(cluster.world.internet, `to-${victim.name}`, true);
    await Bun.sleep(calmMs / 2);
    await blackhole(cluster.world.internet, `to-${victim.name}`, false);
    await settled(cluster, landmarks, [way.host]);
    await addPerson(cluster, 'after-the-return@example.com');
    return watched.judge(note, { deaths: 1 });
  });
}

/** The mesh comes and goes, faster than nodes can make up their minds. */
async function flap({ step }: Context, cluster: Cluster, landmarks: Landmarks, way: Way, times: number): Promise<Calm> {
  return step(`the mesh around the active node comes and goes, ${times} times`, async (note) => {
    const victim = await settled(cluster, landmarks, [way.host]);
    const watched = await watch(cluster, landmarks, way);
    for (let count = 0; count < times; count += 1) {
      await meshAround(cluster.world.internet, victim, '-I');
      await Bun.sleep(500 + Math.random() * 3_000);
      await meshAround(cluster.world.internet, victim, '-D');
      await Bun.sleep(500 + Math.random() * 3_000);
    }
    await settled(cluster, landmarks, [way.host]);
    return watched.judge(note);
  });
}

async function watch(cluster: Cluster, landmarks: Landmarks, { host, sampler }: Way) {
  await sampler.steady();
  const watchers = new Watchers(cluster, landmarks, [host]);
  const from = Date.now();
  return {
    /** `deaths` are switches away from a node that cannot be reached: they must be, and soon. */
    async judge(note: (said: string) => void, { deaths = 0 } = {}): Promise<Calm> {
      await sampler.steady();
      const { longestMs } = await sampler.silence(from, Date.now());
      const moments = watchers.switches().flat();
      const elections = watchers.elections();
      await watchers.end();
      const calm = { switches: moments.length, most_in_10_s: most(moments), longest_silence_ms: Math.round(longestMs) };
      note(`${calm.switches} switches, ${elections} elections, longest silence ${calm.longest_silence_ms} ms`);
      expect(calm.most_in_10_s <= 1 + deaths, () => `${calm.most_in_10_s} switches within 10 s`);
      return calm;
    },
  };
}

/** The most moments that lie within ten seconds. */
const most = (moments: readonly number[]) =>
  Math.max(0, ...moments.map((from) => moments.filter((at) => at >= from && at < from + calmMs).length));

async function meshAround(internet: Host, { address }: NodePlace, change: '-I' | '-D'): Promise<void> {
  for (const end of ['-s', '-d']) {
    const mesh = [end, address, '-p', 'udp', '--dport', `${meshPort}`];
    await internet.must(['iptables', '-w', '-t', 'mangle', change, 'FORWARD', ...mesh, '-j', 'DROP']);
  }
}

const addPerson = ({ master }: Cluster, email: string) =>
  master.owner.ask(User, 'POST', '/v1/users', { email, role: 'developer' });

async function checkDatabase({ master }: Cluster): Promise<string> {
  const command = ['bun', join(repository, 'api/main.ts'), 'check', '--state-dir', stateDir];
  const { stdout, stderr } = await master.node.run(command);
  const { problems, ...counts } = JSON.parse(stdout === '' ? '{"problems":["it said nothing"]}' : stdout);
  expect(problems.length === 0, () => `${problems.join('; ')} ${stderr}`);
  const found = await master.owner.call('GET', '/v1/users?limit=500');
  for (const email of ['during-the-cut@example.com', 'after-the-return@example.com']) {
    expect(found.text.includes(email), () => `${email} was added and is not there`);
  }
  return JSON.stringify(counts);
}
