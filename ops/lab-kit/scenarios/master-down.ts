import * as v from 'valibot';
import type { Host } from '../host.ts';
import { expect, type Scenario } from '../scenario.ts';
import { type Cluster, joinCluster, openCluster, startNode } from './cluster.ts';
import { cutClientPath, faultsOf } from './cluster-faults.ts';
import { type Landmarks, landmarksOf, nodeList, nodeOf, settled } from './cluster-state.ts';
import { clusterTopology, lan, machineNearby, type NodePlace } from './cluster-world.ts';
import { fetchPage, type Joined, makeCode } from './product.ts';
import { reboot } from './reboot.ts';
import { until } from './restore-world.ts';

/** Tokens of agents and devices live for ten minutes. */
const tokenSeconds = 600;
const extents = { short: { downSeconds: 5 }, long: { downSeconds: tokenSeconds + 60 } } as const;
const reconvergenceGoalMs = 5_000;
const Milliseconds = v.pipe(v.number(), v.minValue(0));

export const masterDown: Scenario = {
  name: 'master-down',
  description: 'the master is dead, longer than any token lives, and a standby reboots: all goes on but changes',
  topology: clusterTopology,
  figures: v.strictObject({
    token_life_s: v.number(),
    down_s: v.number(),
    standby_back_ms: Milliseconds,
    reconverged_ms: Milliseconds,
  }),
  async run(context) {
    const { lab, step, check, short } = context;
    const { downSeconds } = short ? extents.short : extents.long;
    const { cluster, laptop, other, landmarks } = await step(
      'three nodes, a laptop, and one that may join',
      async () => {
        const opened = await openCluster(lab);
        const joined = await joinCluster(opened, await machineNearby(opened.world, 'laptop'));
        const late = await joinCluster(opened, await machineNearby(opened.world, 'late'));
        const found = await landmarksOf(opened.world, opened.master.node);
        await settled(opened, found, [joined.host, late.host]);
        return { cluster: opened, laptop: joined, other: late, landmarks: found };
      },
    );
    const { master, world } = cluster;
    const [first, active, standby] = await order(cluster, landmarks, laptop);
    const code = await makeCode(master, cluster.admin);
    const diedAt = Date.now();
    await step('the machine of the master loses its power', async () => {
      await faultsOf(cluster).kill.begin(first);
      await reaches(laptop, 'the laptop');
    });

    const standby_back_ms = await step('a standby is rebooted, and devices whose only node it is go on', (note) =>
      rebootStandby(cluster, landmarks, laptop, { active, standby }, note),
    );
    await check('to join is refused with a clear word', async (note) => {
      await other.host
        .must(['postern-client', 'leave', '--yes'])
        .catch(() => other.host.run(['postern-client', 'leave']));
      const { exitCode, stdout, stderr } = await other.host.run(['sh', '-c', code.join.sh], {
        env: { POSTERN_CODE: code.code },
        timeoutMs: 60_000,
      });
      const said = (stdout + stderr).trim();
      expect(exitCode !== 0, () => 'it joined');
      expect(/198\.18\.\d\.10|master|reach|connect/i.test(said), () => `it said: ${said}`);
      note(said);
    });
    await step(`all goes on for ${downSeconds} s`, async (note) => {
      while (Date.now() < diedAt + downSeconds * 1_000) {
        await reaches(laptop, 'the laptop');
        await Bun.sleep(500);
      }
      await fetchBundle(laptop, await tunnelAddress(landmarks, active));
      const outlived = downSeconds > tokenSeconds;
      note(
        outlived
          ? 'no token of before is good any more'
          : `tokens live ${tokenSeconds} s: only the long form outlives them`,
      );
    });

    const reconverged_ms = await step('the master is back, and all nodes are with it', async (note) => {
      const returning = faultsOf(cluster).kill.end(first);
      const serves = async () => (await master.owner.call('GET', '/healthz')).status === 200;
      await until('the master serves', serves, 60_000);
      const ms = await until('all nodes are connected and in force', async () => {
        const [newest, ...nodes] = [await master.owner.call('GET', '/healthz'), ...(await nodeList(master))];
        const { revision } = JSON.parse(newest.text);
        return nodes.every(
          ({ connected, applied, problem }) => connected && problem === null && applied?.revision === revision,
        );
      });
      await returning;
      note(`${ms} ms after it serves`);
      return ms;
    });
    await check(`within ${reconvergenceGoalMs} ms`, async () => {
      expect(reconverged_ms <= reconvergenceGoalMs, () => `${reconverged_ms} ms`);
    });
    await check('and who could not join before, joins', async () => {
      await joinCluster(cluster, await machineNearby(world, 'fresh'));
    });
    return { token_life_s: tokenSeconds, down_s: downSeconds, standby_back_ms, reconverged_ms };
  },
};

/** The master's node, and the two others: the one that devices go to when it dies, and the one that reboots. */
async function order(
  { world }: Cluster,
  landmarks: Landmarks,
  { host }: Joined,
): Promise<[NodePlace, NodePlace, NodePlace]> {
  const [first, second, third] = world.nodes;
  if (first === undefined || second === undefined || third === undefined) throw new Error('three nodes are needed');
  expect((await nodeOf(host, landmarks)) !== undefined, () => 'the laptop is on no node');
  return [first, second, third];
}

async function rebootStandby(
  { world }: Cluster,
  landmarks: Landmarks,
  laptop: Joined,
  { active, standby }: { active: NodePlace; standby: NodePlace },
  note: (said: string) => void,
): Promise<number> {
  await reboot(standby.host);
  const start = Date.now();
  await startNode(standby);
  await cutClientPath(world.internet, active.address, '-I');
  await until('the laptop is on the standby', async () => (await nodeOf(laptop.host, landmarks)) === standby, 60_000);
  await reaches(laptop, 'the laptop');
  const ms = Date.now() - start;
  await fetchBundle(laptop, await tunnelAddress(landmarks, standby));
  await restartClient(laptop.host);
  await reaches(laptop, 'the laptop, whose client was started anew,');
  await cutClientPath(world.internet, active.address, '-D');
  note(`traffic by way of ${standby.name} ${ms} ms after it was started`);
  return ms;
}

async function reaches({ host }: Joined, who: string): Promise<void> {
  const reached = async () => (await fetchPage(host, lan.intranet)) !== undefined;
  await until(`${who} reaches the intranet`, reached, 20_000);
}

async function fetchBundle({ host }: Joined, address: string): Promise<void> {
  const bundle = await host.must(['curl', '-fsS', '-m', '2', `http://${address}:51830/v1/bundle`]);
  expect(bundle.split('.').length === 3, () => `no bundle, but: ${bundle.slice(0, 100)}`);
}

async function tunnelAddress({ snapshot }: Landmarks, { name }: NodePlace): Promise<string> {
  const node = snapshot.nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`the snapshot has no ${name}`);
  return node.tunnelAddress;
}

async function restartClient(host: Host): Promise<void> {
  await host.must(['postern-client', 'down']);
  await host.must(['postern-client', 'up'], { timeoutMs: 60_000 });
}
