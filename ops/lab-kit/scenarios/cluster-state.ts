import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { Snapshot } from '#contract/snapshot.ts';
import { patience } from '../command.ts';
import type { Host } from '../host.ts';
import type { Program } from '../program.ts';
import { expect } from '../scenario.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterWorld, NodePlace } from './cluster-world.ts';
import type { Master } from './product.ts';
import { stateDir } from './product.ts';

/** What a node has on disk: its signature is checked by whom it is for. */
export async function snapshotOn(node: Host): Promise<Snapshot> {
  const [, payload = ''] = (await node.must(['cat', `${stateDir}/agent/snapshot.jws`])).split('.');
  return v.parse(Snapshot, JSON.parse(Buffer.from(payload, 'base64url').toString()));
}

export async function nodeList({ owner }: Master): Promise<readonly NodeResource[]> {
  return (await owner.ask(v.object({ items: v.array(NodeResource) }), 'GET', '/v1/nodes')).body.items;
}

/** What does not change while a cluster runs. */
export type Landmarks = { vip: string; pool: string; snapshot: Snapshot; nodeOfKey: ReadonlyMap<string, NodePlace> };

export async function landmarksOf(world: ClusterWorld, node: Host): Promise<Landmarks> {
  const snapshot = await snapshotOn(node);
  const { vip, pool } = snapshot;
  expect(vip !== undefined, () => 'the snapshot has no address that moves');
  const nodeOfKey = new Map<string, NodePlace>();
  for (const { name, publicKey } of snapshot.nodes) {
    const place = world.nodes.find((node) => node.name === name);
    if (place !== undefined) nodeOfKey.set(publicKey, place);
  }
  return { vip, pool, snapshot, nodeOfKey };
}

/** The nodes on which the address that moves really is, with a VRRP process that lives. */
export async function holders({ nodes }: Pick<ClusterWorld, 'nodes'>, vip: string): Promise<NodePlace[]> {
  const found = await Promise.all(
    nodes.map(async ({ host }) => {
      const { stdout } = await host.run(['ip', '-o', '-4', 'addr', 'show', 'dev', 'wg0']);
      return stdout.includes(` ${vip}/32 `) && host.processes().some(({ argv }) => /^\S*keepalived/.test(argv));
    }),
  );
  return nodes.filter((_, index) => found[index]);
}

/** The node that a device gives its packets to. */
export async function nodeOf(device: Host, { vip, nodeOfKey }: Landmarks): Promise<NodePlace | undefined> {
  const { stdout } = await device.run(['wg', 'show', 'postern0', 'allowed-ips']);
  const peers = stdout.trim().split('\n');
  const key = peers.find((line) => line.split(/\s+/).includes(`${vip}/32`))?.split(/\s/)[0];
  return nodeOfKey.get(key ?? '');
}

/** The nodes whose own agent says, on the node itself, that they are well. */
async function readyNodes({ nodes }: ClusterWorld): Promise<ReadonlySet<string>> {
  const ask = ['curl', '-fsS', '-m', '0.5', '-o', '/dev/null', 'http://127.0.0.1:51832/'];
  const answers = await Promise.all(nodes.map(({ host }) => host.run(ask)));
  return new Set(nodes.filter((_, index) => answers[index]?.exitCode === 0).map(({ name }) => name));
}

/** Waits until one node is active, all are healthy, and all devices are on the active one. @returns that. */
export async function settled(
  cluster: Cluster,
  landmarks: Landmarks,
  devices: readonly Host[],
  limitMs = 90_000,
): Promise<NodePlace> {
  const deadline = Date.now() + limitMs * patience;
  for (;;) {
    const active = await holders(cluster.world, landmarks.vip);
    const at = await Promise.all(devices.map((device) => nodeOf(device, landmarks)));
    const nodes = await nodeList(cluster.master);
    const ready = await readyNodes(cluster.world);
    const unwell = nodes.filter((node) => !(node.connected && node.healthy && !node.draining && ready.has(node.name)));
    const [only] = active;
    const isSo = only !== undefined && active.length === 1 && unwell.length === 0 && at.every((node) => node === only);
    if (isSo) return only;
    const say = (places: readonly (NodePlace | undefined)[]) => places.map((node) => node?.name ?? 'none').join(', ');
    expect(Date.now() < deadline, () => {
      const problems = unwell.map((node) => JSON.stringify(node)).join(' ');
      return `after ${limitMs / 1000} s active: ${say(active)}; devices at: ${say(at)}; unwell: ${problems || 'none'}`;
    });
    await Bun.sleep(200);
  }
}

/** Counts how often nodes took the address that moves, and how often devices changed nodes. */
export class Watchers {
  private readonly onNodes: Program[];
  private readonly onDevices: Program[];

  constructor({ world }: Cluster, { vip }: Landmarks, devices: readonly Host[]) {
    const label = `watch-${Date.now()}`;
    this.vip = vip;
    this.onNodes = world.nodes.map(({ host }) => host.start(label, ['ip', '-o', 'monitor', 'address']));
    const program = new URL('../programs/owner.ts', import.meta.url).pathname;
    this.onDevices = devices.map((host) => host.start(label, ['bun', program, 'postern0', vip]));
  }

  private readonly vip: string;

  /** Since the beginning. */
  elections(): number {
    const gains = (text: string) =>
      text.split('\n').filter((line) => line.includes(` wg0 `) && line.includes(` ${this.vip}/32 `));
    const taken = this.onNodes.flatMap((program) => gains(program.output()));
    return taken.filter((line) => !line.startsWith('Deleted')).length;
  }

  /** When each device changed nodes, in ms since 1970. */
  switches(): number[][] {
    return this.onDevices.map((program) => {
      const moments = program
        .output()
        .trim()
        .split('\n')
        .map((line) => Number(line.split(' ')[0]));
      return moments.slice(1);
    });
  }

  async end(): Promise<void> {
    await Promise.all([...this.onNodes, ...this.onDevices].map((program) => program.stop('SIGKILL')));
  }
}
