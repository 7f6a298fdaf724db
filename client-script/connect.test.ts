import { afterEach, expect, test } from 'bun:test';
import { createSocket, type Socket } from 'node:dgram';
import { agentPort } from '#contract/probe.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { connectTo } from './connect.ts';
import { bundleWith, node, publicKeyOf } from './fixture/authority.ts';
import type { Platform } from './platform/platform.ts';
import type { PeerStep } from './tunnel-plan.ts';

// Loopback stands for the tunnel: what is asked and answered is real, only the interface is written down.
const device = '127.91.0.1';
const tunnelAddress = '127.91.0.2';
const bundle = bundleWith({
  deviceKey: publicKeyOf('laptop'),
  address: device,
  nodes: [node('n1', tunnelAddress, 100)],
  networks: [{ name: 'internal', cidr: '172.19.0.0/16', nodes: ['n1'] }],
});

let agent: Socket | undefined;
afterEach(() => {
  agent?.close();
  agent = undefined;
});

/** A node that answers each probe after a while; the first ones never. */
async function answer({ afterMs, silentFor = 0 }: { afterMs: number; silentFor?: number }): Promise<void> {
  const socket = createSocket('udp4');
  agent = socket;
  const start = performance.now();
  socket.on('message', (message, { address, port }) => {
    if (performance.now() - start < silentFor) return;
    const { nonce } = JSON.parse(message.toString());
    const text = JSON.stringify({ nonce, node: 'n1', epoch: 1, revision: 7, bundleRevision: 7, healthy: true });
    setTimeout(() => agent === socket && socket.send(text, port, address), afterMs);
  });
  await new Promise<void>((resolve) => socket.bind(agentPort, tunnelAddress, resolve));
}

function interfaceWith(latestHandshake: number): { platform: Platform; did: string[] } {
  const did: string[] = [];
  const peer: ObservedPeer = {
    publicKey: publicKeyOf('n1'),
    endpoint: undefined,
    allowedIps: [],
    latestHandshake,
    receivedBytes: 0,
    sentBytes: 0,
    persistentKeepaliveSeconds: 0,
  };
  const describe = (step: PeerStep) => (step.kind === 'set-peer' ? `set ${step.allowedIps.join()}` : 'remove');
  const platform: Platform = {
    name: 'linux',
    findLacks: async () => [],
    raise: async () => undefined,
    lower: async () => undefined,
    observe: async () => ({ publicKey: '', isUp: true, mtu: 1280, addresses: [device], peers: [peer], routes: [] }),
    localRoutes: async () => [],
    changePeers: async (_, steps) => void did.push(...steps.map(describe)),
    changeRoutes: async (_, steps) => void did.push(...steps.map(({ kind, cidr }) => `${kind} ${cidr}`)),
    counters: () => undefined,
    watchNetwork: () => false,
    identifyProcess: async () => undefined,
  };
  return { platform, did };
}

test('the way to the node comes before the proof, the routes to networks after it', async () => {
  await answer({ afterMs: 0 });
  const { platform, did } = interfaceWith(1);
  const { node: proved } = await connectTo(platform, bundle, new Set(['n1']));
  expect(proved).toBe('n1');
  expect(did).toEqual([
    `set ${tunnelAddress}/32,172.19.0.0/16`,
    `add-route ${tunnelAddress}/32`,
    'add-route 172.19.0.0/16',
  ]);
});

test('an answer that takes longer than the pause between questions counts', async () => {
  await answer({ afterMs: 400 });
  const { platform } = interfaceWith(1);
  expect((await connectTo(platform, bundle, new Set(['n1']), { limitMs: 5_000 })).node).toBe('n1');
});

test('a node that never shook hands is forgotten and made anew', async () => {
  await answer({ afterMs: 0, silentFor: 700 });
  const { platform, did } = interfaceWith(0);
  await connectTo(platform, bundle, new Set(['n1']), { limitMs: 5_000 });
  const peer = `set ${tunnelAddress}/32,172.19.0.0/16`;
  expect(did.slice(0, 4)).toEqual([peer, `add-route ${tunnelAddress}/32`, 'remove', peer]);
});

test.each([
  ['no handshake', 0, 'no-handshake'],
  ['a handshake and no answer', 1, 'node-silent'],
])('with %s in time there are no routes to networks', async (_, latestHandshake, code) => {
  const { platform, did } = interfaceWith(latestHandshake);
  const outcome = connectTo(platform, bundle, new Set(['n1']), { limitMs: 300 });
  await expect(outcome).rejects.toMatchObject({ kind: 'unreachable', code });
  expect(did).not.toContain('add-route 172.19.0.0/16');
});
