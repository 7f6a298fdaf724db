import type { Host } from '../host.ts';
import { Sampler } from '../sampler.ts';
import type { Silence } from '../silence.ts';
import { type Spread, spreadOf } from '../spread.ts';
import type { Cluster } from './cluster.ts';
import type { Fault, FaultKind } from './cluster-faults.ts';
import { type Landmarks, settled } from './cluster-state.ts';
import { lan } from './cluster-world.ts';

/** One way to the nodes: a machine on it, and how it sees the intranet. */
export type Way = { host: Host; sampler: Sampler };
export type Ways = { clean: Way; relay: Way };
const wayNames = ['clean', 'relay'] as const;

/**
 * In ms: the longest silence of each way before the fault, so that what the machine itself adds is known, by the fault, and
 * after the node's return.
 */
export type Trial = Record<(typeof wayNames)[number], { undisturbed: number; outage: number; second: number }>;

/** Probes of the nodes are this far apart, so a fault falls anywhere between two. */
const phaseMs = 5_000;
const leastCalmMs = 500;
/** Nobody follows a node's wish sooner after a change: it is no failure, and can wait. */
const drainRestMs = 10_000;
const leastObservedMs = 4_000;
const mostObservedMs = 30_000;
/** What comes back is watched for this long after all is as it should be. */
const afterReturnMs = 1_000;

/** The front is asked only about the web server: all else is seen on the way to the service itself. */
export const frontUrl = 'https://wiki.corp.internal/';

export async function tryFault(
  cluster: Cluster,
  landmarks: Landmarks,
  ways: Ways,
  kind: FaultKind,
  fault: Fault,
  { phase = phaseMs, drainRest = drainRestMs } = {},
): Promise<Trial> {
  const used = kind === 'nginx_dead' ? await openFronts(ways) : ways;
  const samplers = wayNames.map((name) => used[name].sampler);
  const hosts = wayNames.map((name) => ways[name].host);
  const victim = await settled(cluster, landmarks, hosts);
  await Promise.all(samplers.map((sampler) => sampler.steady()));
  const calm = Date.now();
  await Bun.sleep((kind === 'drain' ? drainRest : leastCalmMs) + phase * Math.random());

  const from = Date.now();
  const undisturbed = await Promise.all(samplers.map((sampler) => sampler.silence(calm, from)));
  let until = from;
  let outages: Silence[] = [];
  try {
    await fault.begin(victim);
    await Bun.sleep(leastObservedMs);
    await Promise.all(samplers.map((sampler) => sampler.steady(500, mostObservedMs).catch(() => undefined)));
    until = Date.now();
    outages = await Promise.all(samplers.map((sampler) => sampler.silence(from, until)));
  } finally {
    await fault.end(victim);
  }
  await settled(cluster, landmarks, hosts);
  await Bun.sleep(afterReturnMs);
  const end = Date.now();
  const seconds = await Promise.all(samplers.map((sampler) => sampler.silence(until, end)));
  if (used !== ways) await Promise.all(samplers.map((sampler) => sampler.end()));

  const of = (index: number) => ({
    undisturbed: undisturbed[index]?.longestMs ?? Number.NaN,
    outage: outages[index]?.longestMs ?? Number.NaN,
    second: seconds[index]?.longestMs ?? Number.NaN,
  });
  return { clean: of(0), relay: of(1) };
}

async function openFronts(ways: Ways): Promise<Ways> {
  const way = ({ host }: Way) => ({ host, sampler: new Sampler(host, frontUrl) });
  return { clean: way(ways.clean), relay: way(ways.relay) };
}

export const openWay = (host: Host): Way => ({ host, sampler: new Sampler(host, `http://${lan.intranet}/`) });

/** Lets a machine know the front's address, whatever its resolver does. */
export async function nameFront(host: Host, { snapshot }: Landmarks): Promise<void> {
  const front = snapshot.fronts.find(({ service }) => service === 'wiki');
  if (front === undefined) throw new Error('the snapshot has no front of the wiki');
  await host.must(['sh', '-c', 'echo "$1" >>/etc/hosts', 'sh', `${front.address} ${new URL(frontUrl).hostname}`]);
}

export type Measured = Record<(typeof wayNames)[number], Record<keyof Trial['clean'], Spread>>;

export function measuredOf(trials: readonly Trial[]): Measured {
  const of = (way: (typeof wayNames)[number]) => ({
    undisturbed: spreadOf(trials.map((trial) => trial[way].undisturbed)),
    outage: spreadOf(trials.map((trial) => trial[way].outage)),
    second: spreadOf(trials.map((trial) => trial[way].second)),
  });
  return { clean: of('clean'), relay: of('relay') };
}
