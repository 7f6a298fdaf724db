import { createSocket, type Socket } from 'node:dgram';
import type { Server } from 'node:http';
import * as v from 'valibot';
import type { CachedBundle } from '#contract/agent.ts';
import type { Ipv4 } from '#contract/network.ts';
import type { Outage } from '#contract/outage.ts';
import { agentPort, type Hint, type ProbeAnswer, ProbeRequest } from '#contract/probe.ts';
import type { RosterDevice } from '#contract/roster.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import { type Allowance, takeOne } from '../plan/allowance.ts';
import { sendTo } from './datagram.ts';
import { listenTcp } from './tunnel-http.ts';

/** What the responder knows about the moment. It answers nobody else than these devices. */
export type Known = {
  node: string;
  version: Version;
  devices: readonly Pick<RosterDevice, 'address' | 'publicKey'>[];
  bundles: readonly CachedBundle[];
  /** The list of keys that the root signed. It is no secret, and worth nothing unless the asker has pinned that root. */
  trust: { version: number; jws: string } | undefined;
  /** What the node tells of itself. */
  standing: Pick<ProbeAnswer, 'healthy' | 'vrrp' | 'vip' | 'sees' | 'priority' | 'draining' | 'unreachable'>;
  /** Addresses of the other nodes in the mesh: they ask as well. */
  nodes: readonly Ipv4[];
};

/** Answers devices inside the tunnel. Their source address is proof: WireGuard lets each send from its own only. */
export interface Responder {
  update(known: Known): void;
  /** Binds to the node's tunnel address; again with the same address changes nothing. */
  listen(address: Ipv4): Promise<void>;
  /** Answers other nodes as well, at this node's address in the mesh; undefined for no more. */
  listenInMesh(address: Ipv4 | undefined): Promise<void>;
  /** Has all devices that asked lately ask again. */
  hintAll(): void;
  close(): void;
}

const limit = { burst: 60, perSecond: 20 };
/** A device that has not probed for this long has another port by now, if it is there at all. */
const rememberAskerMs = 10 * 60_000;
const hintsAtOnce = 500;
const hintPauseMs = 10;
const hint = Buffer.from(JSON.stringify({ hint: 'probe' } satisfies Hint));

type Asker = { publicKey: string; bundle: CachedBundle | undefined };

export type ResponderOptions = {
  log: (line: string) => void;
  /** At the first probe of a device, and when one comes back after a long silence. */
  onArrival: () => void;
  /** For each probe of a device that is answered. */
  onAnswer?: () => void;
  /** A device tells what it has seen. */
  onOutages?: (publicKey: string, outages: readonly Outage[]) => void;
};

export function openResponder({
  log,
  onArrival,
  onAnswer = () => {},
  onOutages = () => {},
}: ResponderOptions): Responder {
  let known: Known | undefined;
  let askers: ReadonlyMap<Ipv4, Asker> = new Map();
  let nodes: ReadonlySet<Ipv4> = new Set();
  let bound: { address: Ipv4; udp: Socket; tcp: Server } | undefined;
  let inMesh: { address: Ipv4; udp: Socket } | undefined;
  let hinting: Timer | undefined;
  const allowances = new Map<Ipv4, Allowance>();
  const lastProbes = new Map<Ipv4, { port: number; at: number }>();
  /** The version of the bundle that each device can fetch here. */
  const offered = new Map<Ipv4, Version>();

  const mayAnswer = (address: Ipv4) => {
    const after = takeOne(allowances.get(address), performance.now(), limit);
    if (after !== undefined) allowances.set(address, after);
    return after !== undefined;
  };

  const answerProbe = (udp: Socket, message: Buffer, address: Ipv4, port: number) => {
    const asker = askers.get(address);
    if (known === undefined || asker === undefined || !mayAnswer(address)) return;
    const now = performance.now();
    if (now - (lastProbes.get(address)?.at ?? Number.NEGATIVE_INFINITY) > rememberAskerMs) onArrival();
    lastProbes.set(address, { port, at: now });
    const answer = probeAnswer(message, known, asker);
    if (answer === undefined) return;
    sendTo(udp, answer, port, address);
    onAnswer();
  };

  const answerNode = (udp: Socket, message: Buffer, address: Ipv4, port: number) => {
    if (known === undefined || !nodes.has(address) || !mayAnswer(address)) return;
    const answer = probeAnswer(message, known, undefined);
    if (answer !== undefined) sendTo(udp, answer, port, address);
  };

  /** That an asker has gone since is no news; the kernel tells it of the socket. */
  const tellOf = (what: string, error: Error & { code?: string }) => {
    if (error.code !== 'ECONNREFUSED' && error.code !== 'EHOSTUNREACH') log(`${what}: ${error.message}`);
  };
  const closeTunnel = () => {
    bound?.udp.close();
    bound?.tcp.close();
    bound?.tcp.closeAllConnections();
    bound = undefined;
  };
  const closeMesh = () => {
    inMesh?.udp.close();
    inMesh = undefined;
  };

  /** In small groups: what all of them ask next is to be answered in time. */
  const hintAll = () => {
    clearTimeout(hinting);
    const since = performance.now() - rememberAskerMs;
    const waiting = [...lastProbes].filter(([, { at }]) => at >= since);
    const next = () => {
      const group = waiting.splice(0, hintsAtOnce);
      if (bound !== undefined) for (const [address, { port }] of group) sendTo(bound.udp, hint, port, address);
      if (waiting.length > 0) hinting = setTimeout(next, hintPauseMs);
    };
    next();
  };

  return {
    update(next) {
      known = next;
      askers = askersOf(next);
      nodes = new Set(next.nodes);
      for (const address of [...allowances.keys()])
        if (!askers.has(address) && !nodes.has(address)) allowances.delete(address);
      for (const [address, { bundle }] of askers) {
        if (bundle === undefined) continue;
        const had = offered.get(address);
        const now = { epoch: next.version.epoch, revision: bundle.revision };
        offered.set(address, now);
        const probe = lastProbes.get(address);
        const isNewer = had !== undefined && compareVersions(now, had) > 0;
        const isAwake = probe !== undefined && performance.now() - probe.at < rememberAskerMs;
        if (isNewer && isAwake && bound !== undefined) sendTo(bound.udp, hint, probe.port, address);
      }
      for (const address of [...offered.keys()]) if (!askers.has(address)) offered.delete(address);
      for (const address of [...lastProbes.keys()]) if (!askers.has(address)) lastProbes.delete(address);
    },

    async listen(address) {
      if (bound?.address === address) return;
      closeTunnel();
      const udp = await bindUdp(address);
      udp.on('message', (message, from) => answerProbe(udp, message, from.address, from.port));
      udp.on('error', (error) => tellOf('probes', error));
      try {
        const tcp = await listenTcp(address, {
          mayAsk: mayAnswer,
          text: (path, asker) => (path === '/v1/trust' ? known?.trust?.jws : askers.get(asker)?.bundle?.bundle),
          takeOutages(asker, outages) {
            const publicKey = askers.get(asker)?.publicKey;
            if (publicKey !== undefined) onOutages(publicKey, outages);
            return publicKey !== undefined;
          },
        });
        bound = { address, udp, tcp };
      } catch (error) {
        udp.close();
        throw error;
      }
    },

    async listenInMesh(address) {
      if (inMesh?.address === address) return;
      closeMesh();
      if (address === undefined) return;
      const udp = await bindUdp(address);
      udp.on('message', (message, from) => answerNode(udp, message, from.address, from.port));
      udp.on('error', (error) => tellOf('probes of nodes', error));
      inMesh = { address, udp };
    },

    hintAll,

    close() {
      clearTimeout(hinting);
      closeTunnel();
      closeMesh();
    },
  };
}

function askersOf({ devices, bundles }: Known): ReadonlyMap<Ipv4, Asker> {
  const byKey = new Map(bundles.map((bundle) => [bundle.publicKey, bundle]));
  return new Map(devices.map(({ address, publicKey }) => [address, { publicKey, bundle: byKey.get(publicKey) }]));
}

/**
 * The answer to a probe; undefined for anything else, and when it would be longer than what was asked. Networks that
 * cannot be reached are left out, the last first, where they make it too long. Another node has no bundle here.
 */
export function probeAnswer(message: Buffer, known: Known, asker: Asker | undefined): Buffer | undefined {
  const nonce = readNonce(message);
  if (nonce === undefined) return undefined;
  const { unreachable = [], ...standing } = known.standing;
  for (let named = unreachable.length; named >= 0; named -= 1) {
    const answer: ProbeAnswer = {
      nonce,
      node: known.node,
      epoch: known.version.epoch,
      revision: known.version.revision,
      // What can be fetched here now; a larger number would only be asked for in vain.
      bundleRevision: asker?.bundle?.revision ?? 0,
      ...(known.trust === undefined ? {} : { trustVersion: known.trust.version }),
      ...standing,
      ...(named === 0 ? {} : { unreachable: unreachable.slice(0, named) }),
    };
    const text = Buffer.from(JSON.stringify(answer));
    if (text.length <= message.length) return text;
  }
  return undefined;
}

function readNonce(message: Buffer): string | undefined {
  if (message.length > 2048) return undefined;
  try {
    return v.parse(ProbeRequest, JSON.parse(message.toString('utf8'))).nonce;
  } catch {
    return undefined;
  }
}

function bindUdp(address: Ipv4): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind({ address, port: agentPort, exclusive: true }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
