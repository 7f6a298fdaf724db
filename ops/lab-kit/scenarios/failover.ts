import * as v from 'valibot';
import type { Host } from '../host.ts';
import { relay } from '../relay.ts';
import { sampleEveryMs } from '../sampler.ts';
import { type Context, expect, type Scenario } from '../scenario.ts';
import { Spread, spreadOf } from '../spread.ts';
import { type Cluster, joinCluster, openCluster } from './cluster.ts';
import { type FaultKind, faultKinds, faultsOf, repairedFaults } from './cluster-faults.ts';
import { type Landmarks, landmarksOf, settled, Watchers } from './cluster-state.ts';
import { clusterTopology, machineAbroad, machineNearby, makePoor, poorPath } from './cluster-world.ts';
import { type Baselines, measureBaselines, observationMs } from './failover-baseline.ts';
import { type Flows, flowGoalMs, tryFlows } from './failover-flows.ts';
import { type Measured, measuredOf, nameFront, openWay, type Trial, tryFault, type Ways } from './failover-trial.ts';

const extents = {
  short: {
    kinds: ['blackhole', 'drain'] as readonly FaultKind[],
    repetitions: 1,
    phaseMs: 500,
    drainRestMs: 0,
    lossSeconds: 5,
    baselines: { clients: 1, rounds: 1 },
  },
  long: {
    kinds: faultKinds as readonly FaultKind[],
    repetitions: 20,
    phaseMs: 5_000,
    drainRestMs: 10_000,
    lossSeconds: 600,
    baselines: { clients: 4, rounds: 5 },
  },
} as const;
type Extent = (typeof extents)['short' | 'long'];

/** In ms, on the clean way, for 95 of 100; over the relay twice that. */
const goals: Record<FaultKind, number> = {
  kill: 1_000,
  link_cut: 1_000,
  blackhole: 1_000,
  agent_dead: 1_000,
  keepalived_dead: 1_000,
  nginx_dead: 1_000,
  no_forward: 2_000,
  client_path_cut: 1_000,
  drain: 50,
};
const relayGoalFactor = 2;
/**
 * Whatever is under way when packets change nodes is answered by the wrong one and lost, and a new connection takes two
 * round trips to its first answer. Where nothing has to be noticed first, that is most of the time.
 */
const twoRoundTripsMs = 4 * poorPath.delayMs;
const relayGoal = (kind: FaultKind) => goals[kind] * relayGoalFactor + (kind === 'drain' ? twoRoundTripsMs : 0);
const secondOutageGoalMs = 100;
const lossPart = 0.05;
/** Of the repetitions of one kind, before it is given up. */
const mostFailures = 3;

const Kinds = v.record(v.string(), Spread);

export const failover: Scenario = {
  name: 'failover',
  description: 'the active node dies in every way there is, and what people feel of it, on a good and on a poor way',
  topology: clusterTopology,
  figures: v.strictObject({
    settings: v.record(v.string(), v.number()),
    clean: Kinds,
    relay: Kinds,
    baseline: Kinds,
    false_elections: v.number(),
    false_switches: v.number(),
  }),
  async run(context) {
    const extent = context.short ? extents.short : extents.long;
    const { step, check, lab, short } = context;
    // In the short form it waits beside the rest: nothing there is held against a goal.
    const early = short ? measureBaselines(extent.baselines) : undefined;
    early?.catch(() => undefined);
    const cluster = await step('three nodes, joined, with a service behind all of them', () => openCluster(lab));
    const { ways, landmarks } = await step('a laptop on a good way and one on a poor way are inside', () =>
      openWays(cluster),
    );
    const clean: Record<string, Spread> = {};
    const poor: Record<string, Spread> = {};
    const calm: Record<'clean' | 'relay', number[]> = { clean: [], relay: [] };
    for (const kind of extent.kinds) {
      const measured = await tryKind(context, cluster, landmarks, ways, kind, extent);
      clean[kind] = measured.clean.outage;
      poor[kind] = measured.relay.outage;
      for (const way of ['clean', 'relay'] as const) calm[way].push(measured[way].undisturbed.p50_ms);
    }
    clean.undisturbed = spreadOf(calm.clean);
    poor.undisturbed = spreadOf(calm.relay);
    if (!short) {
      await tryRepairs(context, cluster, landmarks, ways);
      const flows = await hurtFlows(context, cluster, landmarks, ways, extent);
      Object.assign(clean, flows.clean);
      Object.assign(poor, flows.relay);
    }
    const falseOnes = await lose(context, cluster, landmarks, ways, extent);
    const baselines = await step('what one has without Postern', async (note) => {
      const found = await (early ?? measureBaselines(extent.baselines));
      note(`a shared key: ${told(spreadOf(found.shared_key))}; keepalived alone: never, in ${observationMs} ms`);
      return found;
    });
    await check('the settings are those that we ship', async (note) => note(JSON.stringify(shipped(landmarks))));
    return {
      settings: settingsOf(landmarks, extent),
      clean,
      relay: poor,
      baseline: baselineFigures(baselines),
      ...falseOnes,
    };
  },
};

async function openWays(cluster: Cluster): Promise<{ ways: Ways; landmarks: Landmarks }> {
  const { world } = cluster;
  const [near, far] = [await machineNearby(world, 'laptop'), await machineAbroad(world, 'traveller')];
  for (const host of [near, far]) await joinCluster(cluster, host);
  await makePoor(world);
  const landmarks = await landmarksOf(cluster.world, cluster.master.node);
  for (const host of [near, far]) await nameFront(host, landmarks);
  await settled(cluster, landmarks, [near, far]);
  return { ways: { clean: openWay(near), relay: openWay(far) }, landmarks };
}

async function tryKind(
  { step, check, short }: Context,
  cluster: Cluster,
  landmarks: Landmarks,
  ways: Ways,
  kind: FaultKind,
  { repetitions, phaseMs, drainRestMs }: Extent,
): Promise<Measured> {
  const fault = faultsOf(cluster)[kind];
  const goal = goals[kind];
  const failures: string[] = [];
  const measured = await step(`${kind}: the active node ${fault.description}`, async (note) => {
    const trials: Trial[] = [];
    const options = { phase: phaseMs, drainRest: drainRestMs };
    for (let count = 0; count < repetitions; count += 1) {
      try {
        trials.push(await tryFault(cluster, landmarks, ways, kind, fault, options));
      } catch (error) {
        // One that went wrong takes no figures of the others away.
        failures.push(error instanceof Error ? error.message : String(error));
        if (failures.length > mostFailures) throw error;
      }
    }
    const all = measuredOf(trials);
    note(
      [
        `clean ${told(all.clean.outage)} (goal ${goal} ms), relay ${told(all.relay.outage)} (goal ${relayGoal(kind)} ms)`,
        `before: clean ${told(all.clean.undisturbed)}, relay ${told(all.relay.undisturbed)}`,
        `after its return: clean ${told(all.clean.second)}, relay ${told(all.relay.second)}`,
      ].join('\n'),
    );
    return all;
  });
  if (failures.length > 0) {
    await check(`${kind}: every time`, async () => expect(false, () => failures.join('\n')));
  }
  if (short) return measured;
  await check(`${kind}: within its goals`, async () => {
    const { clean, relay: poor } = measured;
    expect(clean.outage.p95_ms <= goal, () => `clean: ${told(clean.outage)}, goal ${goal} ms`);
    const poorGoal = relayGoal(kind);
    expect(poor.outage.p95_ms <= poorGoal, () => `relay: ${told(poor.outage)}, goal ${poorGoal} ms`);
    const second = clean.second;
    expect(
      second.p95_ms <= secondOutageGoalMs,
      () => `after its return: ${told(second)}, goal ${secondOutageGoalMs} ms`,
    );
  });
  return measured;
}

/** What a node puts right by itself needs no switch; how long it takes is said. */
async function tryRepairs({ check }: Context, cluster: Cluster, landmarks: Landmarks, ways: Ways): Promise<void> {
  for (const [name, fault] of Object.entries(repairedFaults)) {
    await check(`${name}: the active node ${fault.description}, and puts it right`, async (note) => {
      const trials: Trial[] = [];
      for (let count = 0; count < 5; count += 1) {
        trials.push(await tryFault(cluster, landmarks, ways, 'no_forward', fault));
      }
      const { clean, relay: poor } = measuredOf(trials);
      note(`clean ${told(clean.outage)}, relay ${told(poor.outage)}`);
      expect(clean.outage.p95_ms <= goals.no_forward, () => `clean: ${told(clean.outage)}`);
    });
  }
}

async function hurtFlows(
  { step, check }: Context,
  cluster: Cluster,
  landmarks: Landmarks,
  ways: Ways,
  { repetitions }: Extent,
): Promise<Flows> {
  const fault = faultsOf(cluster).blackhole;
  const flows = await step('TCP connections that are open when the active node falls silent', (note) =>
    tryFlows(cluster, landmarks, ways, fault, repetitions, note),
  );
  await check(`end or go on within ${flowGoalMs} ms, and never hang`, async (note) => {
    const all = [flows.clean, flows.relay].flatMap(({ tcp_nat, tcp_no_nat }) => [tcp_nat, tcp_no_nat]);
    note(all.map(told).join('; '));
    for (const { max_ms } of all) expect(max_ms <= flowGoalMs, () => `one took ${max_ms} ms`);
  });
  return flows;
}

/** Nothing dies, but one of twenty packets: nobody is to move. */
async function lose(
  { check, lab }: Context,
  cluster: Cluster,
  landmarks: Landmarks,
  ways: Ways,
  { lossSeconds }: Extent,
): Promise<{ false_elections: number; false_switches: number }> {
  const { internet } = cluster.world;
  const hosts: Host[] = [ways.clean.host, ways.relay.host];
  const interfaces = [...cluster.world.nodes.map(({ name }) => `to-${name}`), 'to-home', 'to-abroad'];
  const counted = { false_elections: Number.NaN, false_switches: Number.NaN };
  await check(`${lossSeconds} s in which ${lossPart * 100} % of all packets are lost move nobody`, async (note) => {
    await settled(cluster, landmarks, hosts);
    const watchers = new Watchers(cluster, landmarks, hosts);
    const losing = await relay(internet, interfaces, { delayMs: 0, loss: lossPart, seed: Date.now() % 1_000_000 });
    const from = Date.now();
    await Bun.sleep(lossSeconds * 1_000);
    const to = Date.now();
    counted.false_elections = watchers.elections();
    counted.false_switches = watchers.switches().flat().length;
    const { longestMs, answered, failed } = await ways.clean.sampler.silence(from, to);
    await watchers.end();
    await losing.end();
    note(
      `${counted.false_elections} elections, ${counted.false_switches} switches; ` +
        `${failed} of ${answered + failed} requests failed, longest silence ${Math.round(longestMs)} ms`,
    );
    expect(counted.false_switches === 0, () => `${counted.false_switches} switches; the outputs are in ${lab.logs}`);
  });
  return counted;
}

const told = ({ n, p50_ms, p95_ms, max_ms }: Spread) => `p50 ${p50_ms}, p95 ${p95_ms}, max ${max_ms} ms of ${n}`;

function baselineFigures(found: Baselines): Record<keyof Baselines, Spread> {
  return { shared_key: spreadOf(found.shared_key), keepalived_alone: spreadOf(found.keepalived_alone) };
}

const shipped = ({ snapshot }: Landmarks) => ({ advert_ms: snapshot.mesh?.advertMilliseconds ?? 0 });

function settingsOf(landmarks: Landmarks, { repetitions, phaseMs, lossSeconds }: Extent): Record<string, number> {
  return {
    ...shipped(landmarks),
    nodes: landmarks.snapshot.nodes.length,
    sample_ms: sampleEveryMs,
    repetitions,
    random_phase_ms: phaseMs,
    relay_delay_ms: poorPath.delayMs,
    relay_jitter_ms: poorPath.jitterMs ?? 0,
    relay_loss: poorPath.loss ?? 0,
    loss_seconds: lossSeconds,
    loss: lossPart,
    baseline_observation_ms: observationMs,
  };
}
