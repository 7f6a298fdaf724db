import { networkInterfaces } from 'node:os';
import type { InterfaceName, Ipv4 } from '#contract/network.ts';
import type { ProbeAnswer } from '#contract/probe.ts';
import { forwardingNow } from '../system/link.ts';
import { answersDns, answersTcp } from './ask.ts';
import type { Findings } from './judge.ts';
import { newChecks } from './steady.ts';
import type { Watched, WatchedNetwork } from './watched.ts';

/** Looks at this machine and asks what runs on it, again and again, without starting a program for it. */
export interface Observer {
  aimFor(watched: Watched | undefined): void;
  /** Reads what the kernel says now; what is asked for was asked before. */
  look(others: readonly ProbeAnswer[]): Omit<Findings, 'isInForce'> & { forwardsNow: boolean };
  /** Whether everything that should be asked was answered, or missed, at least once. */
  hasAsked(): boolean;
  stop(): void;
}

const askDaemonsEveryMs = 200;
const beginningMs = 5_000;
const graceMs = 3_000;
const othersKnowAfterMs = 1_000;
const askBackendsEveryMs = 300;
/** Longer where answers usually take long. */
const backendAnswersWithinMs = 250;
const frontPort = 443;

/** Programs beside the agent: whether one should run, and whether it does. */
export type Daemons = { isWanted: (name: string) => boolean; isRunning: (name: string) => boolean };

export function openObserver(tunnel: InterfaceName, { isWanted, isRunning }: Daemons): Observer {
  let watched: Watched | undefined;
  const checks = newChecks();
  let turn = 0;
  const lostAt = new Map<string, number>();
  const openedAt = performance.now();
  const firstAsked = new Map<string, number>();
  /** How long services of a network take to answer, smoothed. */
  const answerTimes = new Map<string, number>();

  const daemonChecks = () => {
    if (watched === undefined) return [];
    const { dnsName, front, tunnelAddress, vip } = watched;
    const here = ownAddresses();
    const resolvers = [tunnelAddress, vip].filter((address) => address !== undefined && here.has(address)) as Ipv4[];
    return [
      ...(dnsName === undefined || !isWanted('dnsmasq')
        ? []
        : resolvers.map((address) => ({
            daemon: 'dnsmasq',
            key: `dnsmasq at ${address}`,
            ask: () => answersDns(address, dnsName, askDaemonsEveryMs - 10),
          }))),
      ...(front === undefined || !isWanted('nginx') || !here.has(front)
        ? []
        : [
            {
              daemon: 'nginx',
              key: 'nginx',
              ask: () => answersTcp(front, frontPort, { withinMs: askDaemonsEveryMs - 10 }),
            },
          ]),
    ];
  };
  /** What has begun a moment ago, or got an address, need not answer yet. What should run when the agent begins must. */
  const isNew = (key: string) => {
    const now = performance.now();
    const since = firstAsked.get(key) ?? now;
    firstAsked.set(key, since);
    return checks.isWell(key) === undefined && since - openedAt > beginningMs && now - since < graceMs;
  };
  /** One that has ended does not answer, and that is seen sooner than it is asked. Undefined before it ran at all. */
  const runs = (daemon: string) => {
    const key = `runs ${daemon}`;
    const isSo = isRunning(daemon);
    return isSo || checks.isWell(key) !== undefined ? steadily(key, isSo) : undefined;
  };
  /** Whether a network has been out of reach for as long as others need to find that out. */
  const isLong = (name: string, isReachable: boolean | undefined) => {
    const now = performance.now();
    if (isReachable !== false) lostAt.delete(name);
    else if (!lostAt.has(name)) lostAt.set(name, now);
    return now - (lostAt.get(name) ?? now) >= othersKnowAfterMs;
  };
  const askDaemons = async () => {
    const asked = daemonChecks();
    await Promise.all(
      asked.map(async ({ key, ask }) => {
        const isHit = await ask();
        if (isHit || !isNew(key)) checks.note(key, isHit);
      }),
    );
    for (const key of [...firstAsked.keys()]) if (!asked.some((one) => one.key === key)) firstAsked.delete(key);
    checks.keepOnly([
      ...asked.flatMap(({ daemon, key }) => [key, `runs ${daemon}`]),
      ...networkKeys(),
      ...kernelKeys(),
    ]);
  };
  const networkKeys = () => (watched?.networks ?? []).map(({ name }) => `network ${name}`);
  const devices = () => watched?.devices ?? [];
  const kernelKeys = () => [
    ...[tunnel, ...devices()].map((device) => `forwarding ${device}`),
    ...devices().map((device) => `link ${device}`),
    ...(watched?.networks ?? []).map(({ name }) => `carrier ${name}`),
  ];
  /** Two looks in a row decide, so that what is being put right is not taken for a fault. */
  const steadily = (key: string, isSo: boolean) => {
    checks.note(key, isSo);
    return checks.isWell(key);
  };

  /**
   * One service is asked in each turn. When it does not answer, all are asked at once: a network is out of reach when none
   * of them answers in two rounds.
   */
  const askNetwork = async ({ name, backends }: WatchedNetwork): Promise<void> => {
    const key = `network ${name}`;
    const first = backends[turn % backends.length];
    if (first === undefined) return;
    const ask = async ({ address, port }: { address: Ipv4; port: number }) => {
      const began = performance.now();
      const withinMs = Math.max(backendAnswersWithinMs, 4 * (answerTimes.get(key) ?? 0));
      const isHit = await answersTcp(address, port, { withinMs, refusalCounts: true });
      if (isHit) answerTimes.set(key, smoothed(answerTimes.get(key), performance.now() - began));
      return isHit;
    };
    const isHit = await ask(first);
    checks.note(key, isHit);
    if (isHit) return;
    checks.note(
      key,
      (await Promise.all(backends.map(ask))).some((isHit) => isHit),
    );
  };
  const askBackends = async () => {
    turn += 1;
    await Promise.all((watched?.networks ?? []).map(askNetwork));
  };

  const timers = [every(askDaemonsEveryMs, askDaemons), every(askBackendsEveryMs, askBackends)];
  return {
    aimFor(next) {
      watched = next;
    },
    look(others) {
      if (watched === undefined)
        return { forwardsNow: true, forwarding: [], links: [], answering: [], networks: [], others };
      const up = upInterfaces();
      const { networks } = watched;
      const now = new Map(devices().map((device) => [device, forwardingNow(device)]));
      const tunnelNow = forwardingNow(tunnel);
      const asked = daemonChecks();
      const running = new Map([...new Set(asked.map(({ daemon }) => daemon))].map((daemon) => [daemon, runs(daemon)]));
      // What is gone cannot forward; that is told of it once.
      const forwarding = [
        { device: tunnel, isOn: steadily(`forwarding ${tunnel}`, tunnelNow === true) },
        ...[...now].map(([device, isOn]) => ({ device, isOn: steadily(`forwarding ${device}`, isOn !== false) })),
      ];
      return {
        forwardsNow: tunnelNow === true && [...now.values()].every((isOn) => isOn !== false),
        forwarding,
        links: [...now].map(([device, isOn]) => ({ device, isThere: steadily(`link ${device}`, isOn !== undefined) })),
        answering: asked.map(({ daemon, key }) => ({
          name: key,
          isWell: running.get(daemon) === false ? false : checks.isWell(key),
        })),
        networks: networks.map(({ name, device, gateways, backends }) => {
          const carries = steadily(`carrier ${name}`, up.has(device)) !== false;
          const isReachable = carries ? checks.isWell(`network ${name}`) : false;
          const hosts = new Set(backends.map(({ address }) => address)).size;
          return { name, gateways, isReachable, isCertain: !carries || hosts > 1 || isLong(name, isReachable) };
        }),
        others,
      };
    },
    hasAsked: () =>
      daemonChecks().every(({ key }) => checks.isWell(key) !== undefined) &&
      (watched?.networks ?? []).every(
        ({ name, backends }) => backends.length === 0 || checks.isWell(`network ${name}`) !== undefined,
      ),
    stop() {
      for (const stop of timers) stop();
    },
  };
}

const smoothed = (before: number | undefined, sample: number) =>
  before === undefined ? sample : before + (sample - before) / 8;

/** Interfaces that are up, carry, and have an address. */
const upInterfaces = () => new Set(Object.keys(networkInterfaces()));

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []));
}

/** Calls again and again, and never a second time before the first has ended. */
function every(periodMs: number, call: () => Promise<unknown>): () => void {
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    call()
      .catch(() => undefined)
      .finally(() => {
        isBusy = false;
      });
  }, periodMs);
  return () => clearInterval(timer);
}
