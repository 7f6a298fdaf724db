import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:http';
import * as v from 'valibot';
import type { CachedBundle } from '#contract/agent.ts';
import type { Ipv4 } from '#contract/network.ts';
import { agentPort, type Hint, type ProbeAnswer, ProbeRequest } from '#contract/probe.ts';
import { problem } from '#contract/problem.ts';
import type { RosterDevice } from '#contract/roster.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import { type Allowance, takeOne } from '../plan/allowance.ts';

/** What the responder knows about the moment. It answers nobody else than these devices. */
export type Known = {
  node: string;
  version: Version;
  devices: readonly Pick<RosterDevice, 'address' | 'publicKey'>[];
  bundles: readonly CachedBundle[];
  /** The list of keys that the root signed. It is no secret, and worth nothing unless the asker has pinned that root. */
  trust: { version: number; jws: string } | undefined;
  healthy: boolean;
};

/** Answers devices inside the tunnel. Their source address is proof: WireGuard lets each send from its own only. */
export interface Responder {
  update(known: Known): void;
  /** Binds to the node's tunnel address; again with the same address changes nothing. */
  listen(address: Ipv4): Promise<void>;
  close(): void;
}

const limit = { burst: 60, perSecond: 20 };
/** A device that has not probed for this long has another port by now, if it is there at all. */
const rememberAskerMs = 10 * 60_000;
const hint = Buffer.from(JSON.stringify({ hint: 'probe' } satisfies Hint));

type Asker = { publicKey: string; bundle: CachedBundle | undefined };

/**
 * `onArrival` is called at the first probe of a device, and when one comes back after a long silence; `onAnswer` for each
 * probe that is answered.
 */
export function openResponder(
  log: (line: string) => void,
  onArrival: () => void,
  onAnswer: () => void = () => {},
): Responder {
  let known: Known | undefined;
  let askers: ReadonlyMap<Ipv4, Asker> = new Map();
  let bound: { address: Ipv4; udp: Socket; tcp: Server } | undefined;
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
    udp.send(answer, port, address);
    onAnswer();
  };

  const close = () => {
    bound?.udp.close();
    bound?.tcp.close();
    bound?.tcp.closeAllConnections();
    bound = undefined;
  };

  return {
    update(next) {
      known = next;
      askers = askersOf(next);
      for (const address of [...allowances.keys()]) if (!askers.has(address)) allowances.delete(address);
      for (const [address, { bundle }] of askers) {
        if (bundle === undefined) continue;
        const had = offered.get(address);
        const now = { epoch: next.version.epoch, revision: bundle.revision };
        offered.set(address, now);
        const probe = lastProbes.get(address);
        const isNewer = had !== undefined && compareVersions(now, had) > 0;
        if (isNewer && probe !== undefined && performance.now() - probe.at < rememberAskerMs)
          bound?.udp.send(hint, probe.port, address);
      }
      for (const address of [...offered.keys()]) if (!askers.has(address)) offered.delete(address);
      for (const address of [...lastProbes.keys()]) if (!askers.has(address)) lastProbes.delete(address);
    },

    async listen(address) {
      if (bound?.address === address) return;
      close();
      const udp = await bindUdp(address);
      udp.on('message', (message, from) => answerProbe(udp, message, from.address, from.port));
      udp.on('error', (error) => log(`probes: ${error.message}`));
      try {
        const tcp = await listenTcp(address, (path, asker) => {
          if (!mayAnswer(asker)) return 'later';
          return path === '/v1/trust' ? known?.trust?.jws : askers.get(asker)?.bundle?.bundle;
        });
        bound = { address, udp, tcp };
      } catch (error) {
        udp.close();
        throw error;
      }
    },

    close,
  };
}

function askersOf({ devices, bundles }: Known): ReadonlyMap<Ipv4, Asker> {
  const byKey = new Map(bundles.map((bundle) => [bundle.publicKey, bundle]));
  return new Map(devices.map(({ address, publicKey }) => [address, { publicKey, bundle: byKey.get(publicKey) }]));
}

/** The answer to a probe; undefined for anything else, and when it would be longer than what was asked. */
export function probeAnswer(message: Buffer, known: Known, asker: Asker): Buffer | undefined {
  const nonce = readNonce(message);
  if (nonce === undefined) return undefined;
  const answer: ProbeAnswer = {
    nonce,
    node: known.node,
    epoch: known.version.epoch,
    revision: known.version.revision,
    // What can be fetched here now; a larger number would only be asked for in vain.
    bundleRevision: asker.bundle?.revision ?? 0,
    ...(known.trust === undefined ? {} : { trustVersion: known.trust.version }),
    healthy: known.healthy,
  };
  const text = Buffer.from(JSON.stringify(answer));
  return text.length <= message.length ? text : undefined;
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

type Path = '/v1/bundle' | '/v1/trust';

function listenTcp(address: Ipv4, textFor: (path: Path, asker: Ipv4) => string | 'later' | undefined): Promise<Server> {
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 1_000 },
    (request, response) => {
      const send = (status: number, type: string, body: string) =>
        response
          .writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close' })
          .end(body);
      const refuse = (code: 'not-found' | 'method-not-allowed' | 'too-many-requests') => {
        const document = problem(code);
        send(document.status, 'application/problem+json', JSON.stringify(document));
      };
      const { url, method, socket } = request;
      if (url !== '/v1/bundle' && url !== '/v1/trust') return refuse('not-found');
      if (method !== 'GET') return refuse('method-not-allowed');
      const text = textFor(url, socket.remoteAddress ?? '');
      if (text === 'later') return refuse('too-many-requests');
      if (text === undefined) return refuse('not-found');
      send(200, 'application/jose', text);
    },
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: agentPort, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
