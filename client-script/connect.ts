import { setTimeout as pause } from 'node:timers/promises';
import type { Bundle } from '#contract/bundle.ts';
import type { Name } from '#contract/name.ts';
import type { ProbeAnswer } from '#contract/probe.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { chooseNode, type NodeView } from './failover/choose.ts';
import { ownersOf, type Standing, startingNode } from './failover/owners.ts';
import { ClientFailure, messageOf } from './failure.ts';
import { CommandError } from './platform/command.ts';
import type { Platform } from './platform/platform.ts';
import { openProber, type Prober } from './probe.ts';
import type { StateFiles } from './state-files.ts';
import {
  type DesiredPeer,
  type DesiredTunnel,
  desiredPeers,
  desiredTunnel,
  interfaceName,
  tunnelMtu,
} from './tunnel.ts';
import { planTunnel, retryPeer } from './tunnel-plan.ts';

/** A first handshake on any usual path takes less; after that a lost one is not waited for but made anew. */
const handshakeLimitMs = 500;
const connectLimitMs = 10_000;
/** Questions go out this often; an answer counts however late it comes, for a path may be slow. */
const askIntervalMs = 60;
/** When one node has answered, this much is left to the others, so that the best is known. */
const othersLimitMs = 60;

export type Proof = {
  /** The node that has this device's packets now. */
  node: Name;
  /** From the moment the peers were set to the first handshake. */
  handshakeMs: number;
  /** The moment of the first answer through the tunnel, by `performance.now()`. */
  answeredAt: number;
};

/** @throws ClientFailure lacking, with everything that is missing at once. */
export async function requireAbilities(platform: Platform): Promise<void> {
  const lacks = await platform.findLacks();
  if (lacks.length === 0) return;
  throw new ClientFailure(
    'lacking',
    'machine-lacks',
    `This machine lacks ${lacks.map(({ what }) => what).join('; ')}`,
    [...new Set(lacks.map(({ next }) => next))].join('\n'),
  );
}

/** The interface up with its address, as it must be before a node knows this device: without routes and peers. */
export async function raiseLink(platform: Platform, files: StateFiles, bundle: Bundle): Promise<void> {
  const { address } = bundle;
  try {
    await platform.raise({ name: interfaceName, privateKeyFile: files.wireguardKeyFile, address, mtu: tunnelMtu });
  } catch (cause) {
    throw new ClientFailure(
      'lacking',
      'interface-failed',
      `The interface ${interfaceName} cannot be brought up: ${messageOf(cause)}`,
      'See that WireGuard works here: `ip link add dev test0 type wireguard`, or `wireguard-go test0` with /dev/net/tun. Then run it again.',
      cause,
    );
  }
}

/** The tunnel that this machine should have now. */
export async function desire(platform: Platform, bundle: Bundle, standing: Standing): Promise<DesiredTunnel> {
  return desiredTunnel(bundle, ownersOf(bundle, standing), await platform.localRoutes(interfaceName));
}

/**
 * Adds the nodes that know this device as peers, waits for the first to answer from inside the tunnel, chooses the best of
 * those that answer, and only then sets the routes to the networks. Where it was before it stays, if that is as good.
 *
 * @throws ClientFailure unreachable when none answers; the interface and its peers stay, and the watcher goes on.
 */
export async function connectTo(
  platform: Platform,
  bundle: Bundle,
  names: ReadonlySet<Name>,
  { limitMs = connectLimitMs, before }: { limitMs?: number; before?: Name } = {},
): Promise<Proof> {
  const nodes = bundle.nodes.filter(({ name }) => names.has(name));
  const within = { ...bundle, nodes };
  const current = nodes.some(({ name }) => name === before) ? before : undefined;
  const tunnel = await desire(platform, within, { current: current ?? startingNode(within, names), views: [] });
  const observed = await platform.observe(interfaceName);
  const plan = planTunnel(observed ?? { peers: [], routes: [] }, tunnel);
  const prober = await openProber(bundle.address);
  try {
    const startedAt = performance.now();
    await platform.changePeers(interfaceName, plan.peers);
    const toNodes = new Set(nodes.map(({ tunnelAddress }) => `${tunnelAddress}/32`));
    await platform.changeRoutes(
      interfaceName,
      plan.routes.filter(({ cidr }) => toNodes.has(cidr)),
    );
    const { answers, ...first } = await firstAnswers(platform, prober, tunnel, nodes, startedAt, limitMs);
    const views = viewsOf(nodes, answers);
    const here = current === undefined ? undefined : { node: current, since: Number.NEGATIVE_INFINITY };
    const choice = chooseNode(here, views, { now: 0, epoch: bundle.epoch });
    const { node = first.node } = choice;
    const settled = { peers: desiredPeers(within, ownersOf(within, { current: node, views })), routes: [] };
    const set = { peers: tunnel.peers.map(asIfObserved), routes: [] };
    await platform.changePeers(interfaceName, planTunnel(set, settled).peers);
    await platform.changeRoutes(
      interfaceName,
      plan.routes.filter(({ cidr }) => !toNodes.has(cidr)),
    );
    return { ...first, node };
  } catch (error) {
    if (error instanceof CommandError) throw changeFailed(error);
    throw error;
  } finally {
    prober.close();
  }
}

function viewsOf(nodes: Bundle['nodes'], answers: ReadonlyMap<Name, ProbeAnswer>): readonly NodeView[] {
  return nodes.map(({ name, priority }) => {
    const answer = answers.get(name);
    return { name, priority, isSilent: answer === undefined, ...(answer && { answer }) };
  });
}

/** What was set is there: looking again would cost more than it tells. */
function asIfObserved({ publicKey, allowedIps, persistentKeepaliveSeconds }: DesiredPeer): ObservedPeer {
  const nothing = { endpoint: undefined, latestHandshake: 0, receivedBytes: 0, sentBytes: 0 };
  return { ...nothing, publicKey, allowedIps: [...allowedIps], persistentKeepaliveSeconds };
}

type First = Proof & { answers: ReadonlyMap<Name, ProbeAnswer> };

async function firstAnswers(
  platform: Platform,
  prober: Prober,
  tunnel: DesiredTunnel,
  nodes: Bundle['nodes'],
  start: number,
  limitMs: number,
): Promise<First> {
  let attemptAt = start;
  let attempt = 0;
  let handshakeMs: number | undefined;
  let first: { node: Name; answeredAt: number; rttMs: number } | undefined;
  const answers = new Map<Name, ProbeAnswer>();
  let wake = () => {};
  let wakeForAll = () => {};
  const answered = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const allAnswered = new Promise<void>((resolve) => {
    wakeForAll = resolve;
  });
  while (performance.now() - start < limitMs) {
    for (const { name, tunnelAddress } of nodes) {
      prober.ask(tunnelAddress, limitMs).then((heard) => {
        if (heard === undefined) return;
        answers.set(name, heard.answer);
        first ??= { node: name, answeredAt: performance.now(), rttMs: heard.rttMs };
        wake();
        if (answers.size === nodes.length) wakeForAll();
      });
    }
    await Promise.race([answered, pause(askIntervalMs)]);
    if (first !== undefined) {
      const { node, answeredAt, rttMs } = first;
      await Promise.race([allAnswered, pause(Math.max(othersLimitMs, 2 * rttMs))]);
      return { node, answeredAt, handshakeMs: handshakeMs ?? answeredAt - start, answers };
    }
    const silent = await peersWithoutHandshake(platform, tunnel);
    if (silent.length < tunnel.peers.length) handshakeMs ??= performance.now() - start;
    if (silent.length > 0 && performance.now() - attemptAt >= handshakeLimitMs) {
      attemptAt = performance.now();
      attempt += 1;
      const again = silent.flatMap((peer) => retryPeer(peer, peer.endpoints[attempt % peer.endpoints.length]));
      await platform.changePeers(interfaceName, again);
    }
  }
  throw noAnswer(nodes, handshakeMs !== undefined);
}

async function peersWithoutHandshake(platform: Platform, tunnel: DesiredTunnel) {
  const observed = await platform.observe(interfaceName);
  const spoken = new Set(
    (observed?.peers ?? []).filter(({ latestHandshake }) => latestHandshake > 0).map(({ publicKey }) => publicKey),
  );
  return tunnel.peers.filter(({ publicKey }) => !spoken.has(publicKey));
}

function noAnswer(nodes: Bundle['nodes'], hadHandshake: boolean): ClientFailure {
  const where = nodes.map(({ name, endpoints }) => `${name} (${endpoints.join(', ')})`).join(', ') || 'any node';
  return hadHandshake
    ? new ClientFailure(
        'unreachable',
        'node-silent',
        `There is a handshake with ${where}, but no answer from inside the tunnel`,
        'The watcher keeps trying. If it stays, ask your admin whether the agent on the node runs; see `postern-client status`.',
      )
    : new ClientFailure(
        'unreachable',
        'no-handshake',
        `No handshake with ${where}`,
        'The network you are in may block UDP to that port: try another one. The watcher keeps trying; see `postern-client status`.',
      );
}

function changeFailed(error: CommandError): ClientFailure {
  return new ClientFailure(
    'failed',
    'tunnel-change-failed',
    `The tunnel cannot be set up: ${error.message}`,
    'Run `postern-client down`, then `postern-client up`.',
    error,
  );
}
