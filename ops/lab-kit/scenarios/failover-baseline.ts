import { join } from 'node:path';
import { bareTunnel, makeKeys, setBarePeer } from '../bare-tunnel.ts';
import type { Host } from '../host.ts';
import { Lab } from '../lab.ts';
import type { Program } from '../program.ts';
import { blackhole, masquerade } from '../router.ts';
import { Sampler } from '../sampler.ts';
import { type ClusterWorld, lan, machineNearby, openClusterWorld } from './cluster-world.ts';

/**
 * What one has without Postern, on the same ground and with the same fault (the active node is black-holed):
 *
 * - `shared_key`: all nodes have one key, the client has one peer, and a script points it at the next node when three
 *   pings of 0.3 s were lost;
 * - `keepalived_alone`: each node has its own key and keepalived moves the address; the client's peer stays.
 */
export type Baselines = Record<'shared_key' | 'keepalived_alone', number[]>;

/** How long one waits for what never comes back. Times as long as this mean "at least". */
export const observationMs = 25_000;

const shared = { name: 'shared0', port: 51_820, far: '10.9.0.1' } as const;
const own = { name: 'own0', port: 51_822, vip: '10.8.0.254' } as const;
const mesh = { name: 'mesh0', port: 51_821 } as const;

type Client = { host: Host; script: () => Program; samplers: { shared_key: Sampler; keepalived_alone: Sampler } };

export async function measureBaselines(extent: { clients: number; rounds: number }): Promise<Baselines> {
  const lab = Lab.create();
  try {
    const world = await openClusterWorld(lab);
    const nodes = await openBareNodes(world);
    const clients: Client[] = [];
    for (let number = 1; number <= extent.clients; number += 1) {
      clients.push(await openClient(world, nodes, await machineNearby(world, `plain${number}`), number));
    }
    const found: Baselines = { shared_key: [], keepalived_alone: [] };
    for (let round = 0; round < extent.rounds; round += 1) await measure(world, nodes, clients, found);
    return found;
  } finally {
    await lab.close();
  }
}

type BareNodes = { sharedKey: string; ownKeys: readonly string[] };

async function openBareNodes({ nodes }: ClusterWorld): Promise<BareNodes> {
  const sharedKeys = await makeKeys();
  const meshKeys = await Promise.all(nodes.map(makeKeys));
  const ownKeys = await Promise.all(nodes.map(makeKeys));
  await Promise.all(
    nodes.map(async ({ host }, index) => {
      const number = index + 1;
      await bareTunnel(host, shared.name, { ...sharedKeys, address: `${shared.far}/24`, port: shared.port });
      await bareTunnel(host, own.name, { ...keyOf(ownKeys, index), address: `10.8.0.${number}/24`, port: own.port });
      await bareTunnel(host, mesh.name, { ...keyOf(meshKeys, index), address: `10.7.0.${number}/24`, port: mesh.port });
      for (const [other, { address }] of nodes.entries()) {
        if (other === index) continue;
        const endpoint = `${address}:${mesh.port}`;
        const allowedIps = `10.7.0.${other + 1}/32`;
        const { publicKey } = keyOf(meshKeys, other);
        await setBarePeer(host, mesh.name, { publicKey, allowedIps, endpoint, keepalive: 5 });
      }
      await masquerade(host, lan.device);
      await startKeepalived(host, number, nodes.length);
    }),
  );
  return { sharedKey: sharedKeys.publicKey, ownKeys: ownKeys.map(({ publicKey }) => publicKey) };
}

function keyOf<Keys>(keys: readonly Keys[], index: number): Keys {
  const found = keys[index];
  if (found === undefined) throw new RangeError(`there is no key ${index}`);
  return found;
}

async function startKeepalived(host: Host, number: number, count: number): Promise<void> {
  const others = Array.from({ length: count }, (_, index) => index + 1).filter((other) => other !== number);
  const configuration = [
    `global_defs {\n  router_id n${number}\n  vrrp_version 3\n}`,
    'vrrp_instance VPN {\n  state BACKUP\n  nopreempt',
    `  interface ${mesh.name}\n  virtual_router_id 51\n  priority ${[200, 120, 40][number - 1]}\n  advert_int 0.2`,
    `  unicast_src_ip 10.7.0.${number}`,
    `  unicast_peer {\n${others.map((other) => `    10.7.0.${other}`).join('\n')}\n  }`,
    `  virtual_ipaddress {\n    ${own.vip}/32 dev ${own.name}\n  }\n}\n`,
  ].join('\n');
  await host.must(['sh', '-c', 'cat >/run/bare-keepalived.conf'], { stdin: configuration });
  const files = ['-f', '/run/bare-keepalived.conf', '-p', '/run/bare-keepalived.pid', '-r', '/run/bare-vrrp.pid'];
  host.start('keepalived', ['keepalived', '-P', '-l', '-n', '-D', ...files]);
}

async function openClient(
  { nodes }: ClusterWorld,
  { sharedKey, ownKeys }: BareNodes,
  host: Host,
  number: number,
): Promise<Client> {
  const addresses = { shared: `10.9.0.${10 + number}`, own: `10.8.0.${10 + number}` };
  const keys = { shared: await makeKeys(), own: await makeKeys() };
  await bareTunnel(host, shared.name, { ...keys.shared, address: `${addresses.shared}/24` });
  await bareTunnel(host, own.name, { ...keys.own, address: `${addresses.own}/24` });
  for (const node of nodes) {
    const allow = (key: { publicKey: string }, address: string) => ({ ...key, allowedIps: `${address}/32` });
    await setBarePeer(node.host, shared.name, allow(keys.shared, addresses.shared));
    await setBarePeer(node.host, own.name, allow(keys.own, addresses.own));
  }
  const [first] = nodes;
  await setBarePeer(host, own.name, {
    publicKey: ownKeys[0] ?? '',
    allowedIps: `10.8.0.0/24,${lan.wiki}/32`,
    endpoint: `${first?.address}:${own.port}`,
    keepalive: 25,
  });
  await host.ip(`route add ${lan.wiki}/32 dev ${own.name}`, `route add ${lan.intranet}/32 dev ${shared.name}`);
  const endpoints = nodes.map(({ address }) => `${address}:${shared.port}`);
  const script = join(import.meta.dir, '../programs/repoint.sh');
  return {
    host,
    script: () => host.start('repoint', ['sh', script, shared.name, sharedKey, shared.far, ...endpoints]),
    samplers: {
      shared_key: new Sampler(host, `http://${lan.intranet}/`),
      keepalived_alone: new Sampler(host, `http://${lan.wiki}/`),
    },
  };
}

/** One fault, felt by all clients. */
async function measure(world: ClusterWorld, { sharedKey }: BareNodes, clients: readonly Client[], found: Baselines) {
  const [first] = world.nodes;
  const pointAtFirst = async ({ host }: Client) => {
    await host.run(['wg', 'set', shared.name, 'peer', sharedKey, 'remove']);
    const allowedIps = `${shared.far}/32,${lan.intranet}/32`;
    const endpoint = `${first?.address}:${shared.port}`;
    await setBarePeer(host, shared.name, { publicKey: sharedKey, allowedIps, endpoint, keepalive: 25 });
  };
  await Promise.all(clients.map(pointAtFirst));
  await Promise.all(clients.flatMap(({ samplers }) => Object.values(samplers).map((sampler) => sampler.steady())));
  const scripts = clients.map(({ script }) => script());
  await Promise.all(scripts.map((script) => script.says(/running/)));
  await Bun.sleep(1_000 + Math.random() * 5_000);

  const from = Date.now();
  await blackhole(world.internet, 'to-n1', true);
  await Bun.sleep(observationMs);
  const to = Date.now();
  for (const { samplers } of clients) {
    for (const kind of ['shared_key', 'keepalived_alone'] as const) {
      found[kind].push((await samplers[kind].silence(from, to)).longestMs);
    }
  }
  await Promise.all(scripts.map((script) => script.stop()));
  await blackhole(world.internet, 'to-n1', false);
}
