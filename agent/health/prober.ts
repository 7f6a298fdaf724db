import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import * as v from 'valibot';
import type { Ipv4 } from '#contract/network.ts';
import { agentPort, encodeProbe, ProbeAnswer } from '#contract/probe.ts';
import { sendTo } from '../system/datagram.ts';
import { afterProbe, isHeard, type Neighbour, probeEveryMs, unheard } from './neighbours.ts';

/** Asks the other nodes over the mesh, as devices ask inside the tunnel. */
export interface Prober {
  /** The others by name, and this node's own address in the mesh; undefined where there is no mesh. */
  aimFor(own: Ipv4 | undefined, others: ReadonlyMap<string, Ipv4>): void;
  all(): readonly Neighbour[];
  /** The last answers of those that can be heard now. */
  heard(): readonly ProbeAnswer[];
  stop(): void;
}

/** Questions that nobody answered are forgotten after this long. */
const forgetAfterMs = 3_000;

export function openProber(log: (line: string) => void): Prober {
  let own: Ipv4 | undefined;
  let others: ReadonlyMap<string, Ipv4> = new Map();
  let socket: { address: Ipv4; udp: Socket } | undefined;
  const neighbours = new Map<string, Neighbour>();
  const asked = new Map<string, { node: string; at: number }>();

  const onMessage = (message: Buffer, from: Ipv4) => {
    const answer = readAnswer(message);
    const question = answer && asked.get(answer.nonce);
    // Who answers is who was asked: an address in the mesh is the node's own, by its key.
    if (answer === undefined || question?.node !== answer.node || others.get(answer.node) !== from) return;
    asked.delete(answer.nonce);
    const before = neighbours.get(answer.node) ?? unheard;
    neighbours.set(answer.node, afterProbe(before, answer, question.at, performance.now()));
  };
  const close = () => {
    socket?.udp.close();
    socket = undefined;
  };
  /** The address comes with the mesh's interface, goes with it, and may be there again: binding is tried until it works. */
  const bind = (address: Ipv4) => {
    const udp = createSocket('udp4');
    const bound = { address, udp };
    socket = bound;
    udp.on('message', (message, { address }) => onMessage(message, address));
    let isBound = false;
    // A node whose agent is gone refuses, and the kernel tells it of the socket, which is as good as before for the others.
    udp.on('error', () => {
      if (isBound) return;
      udp.close();
      if (socket === bound) socket = undefined;
    });
    udp.bind({ address, port: 0 }, () => {
      isBound = true;
    });
  };
  const ask = () => {
    if (own === undefined || others.size === 0) return close();
    if (socket?.address !== own) {
      close();
      return bind(own);
    }
    const now = performance.now();
    for (const [nonce, { at }] of asked) if (now - at > forgetAfterMs) asked.delete(nonce);
    for (const [node, address] of others) {
      const nonce = randomBytes(8).toString('hex');
      asked.set(nonce, { node, at: now });
      sendTo(socket.udp, encodeProbe(nonce), agentPort, address);
    }
  };
  const asking = setInterval(() => {
    try {
      ask();
    } catch (error) {
      log(`asking the other nodes: ${error instanceof Error ? error.message : String(error)}`);
      close();
    }
  }, probeEveryMs);

  return {
    aimFor(address, nodes) {
      own = address;
      others = nodes;
      for (const name of [...neighbours.keys()]) if (!nodes.has(name)) neighbours.delete(name);
    },
    all: () => [...others.keys()].map((name) => neighbours.get(name) ?? unheard),
    heard() {
      const now = performance.now();
      return [...neighbours.values()].flatMap((one) => (isHeard(one, now) ? (one.answer ?? []) : []));
    },
    stop() {
      clearInterval(asking);
      close();
    },
  };
}

function readAnswer(message: Buffer): ProbeAnswer | undefined {
  try {
    return v.parse(ProbeAnswer, JSON.parse(message.toString('utf8')));
  } catch {
    return undefined;
  }
}
