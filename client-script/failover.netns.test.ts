import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RosterNode } from '#contract/roster.ts';
import { bundleWith, makeAuthority, newId } from './fixture/authority.ts';
import type { Order, Place, Told } from './fixture/fake-node.ts';
import { connectNamespaces, type Namespace, openNamespace } from './fixture/namespace.ts';
import { buildClient, type Ended, runtimes, temporaryFolder } from './fixture/program.ts';
import { StateFiles } from './state-files.ts';

/**
 *   device 198.18.9.1 --- hub --- n1 198.18.1.1, n2 198.18.2.1, n3 198.18.3.1
 *
 * Three nodes in three networks, each with all the addresses that devices go to: fixture/fake-node.ts. What fails, fails
 * for packets; what people feel is an echo asked every 10 ms, by fixture/ask-echo.ts.
 */

const canRun = process.getuid?.() === 0 && existsSync('/dev/net/tun') && existsSync('/usr/bin/wireguard-go');
const why = 'needs root, /dev/net/tun and wireguard-go';
const vip = '10.91.64.1';
const service = '172.19.0.1';
const echoPort = 7000;
const deviceAddress = '10.91.64.70';
const names = ['n1', 'n2', 'n3'] as const;
type NodeName = (typeof names)[number];
const active: Order['says'] = { vrrp: 'MASTER', vip: true };
const standby: Order['says'] = { vrrp: 'BACKUP', vip: false };

const folder = temporaryFolder();
let client: string;
beforeAll(() => {
  client = buildClient(folder.path);
});
afterAll(() => folder.remove());

describe.skipIf(!canRun).each(runtimes)(
  `a device among three nodes, under $name (${why})`,
  ({ name, path: runtime }) => {
    const state = join(folder.path, `failover-${name}`);
    let hub: Namespace;
    let device: Namespace;
    const nodes = new Map<NodeName, FakeNode>();

    beforeAll(async () => {
      [hub, device] = await Promise.all([openNamespace(), openNamespace()]);
      await hub.run(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
      await plug(hub, device, 'device', 9);
      const files = new StateFiles(state);
      await files.prepare();
      const { wireguard } = await files.loadOrMakeKeys();
      const roster: RosterNode[] = [];
      for (const [index, node] of names.entries()) {
        const tunnelAddress = `10.91.64.${index + 2}`;
        const space = await openNamespace();
        await plug(hub, space, node, index + 1);
        const place: Place = {
          ...{ name: node, tunnelAddress, held: [vip, service], echoPort },
          device: { publicKey: wireguard.publicKey, address: deviceAddress },
        };
        const fake = await startNode(space, place);
        nodes.set(node, fake);
        const endpoints = [`198.18.${index + 1}.1:51820`];
        roster.push({ name: node, publicKey: fake.publicKey, endpoints, tunnelAddress, priority: 100 - index });
      }
      const authority = await makeAuthority([]);
      const networks = [
        { name: 'devices', cidr: '10.91.64.0/18', nodes: [...names] },
        { name: 'internal', cidr: '172.19.0.0/16', nodes: [...names] },
      ];
      const bundle = bundleWith({
        ...{ deviceKey: wireguard.publicKey, address: deviceAddress, vip },
        nodes: roster,
        networks,
      });
      await files.saveSigned('trust', await authority.trust());
      await files.saveSigned('bundle', await authority.bundle({ ...bundle, revision: 1 }));
      const ids = { deviceId: newId(), deviceName: bundle.deviceName, reached: [...names] };
      await files.saveMembership({ master: 'https://192.0.2.1:8443', root: authority.root, ...ids });
      await order('n1', { says: active });
    }, 30_000);
    afterAll(() => {
      for (const space of [hub, device, ...[...nodes.values()].map(({ space }) => space)]) space?.close();
    });

    const run = (...words: string[]): Promise<Ended> =>
      device.run([runtime, client, ...words, '--state-dir', state, '--json']);
    const order = (node: NodeName, what: Order): Promise<Told> => {
      const fake = nodes.get(node);
      if (fake === undefined) throw new Error(`there is no ${node}`);
      return fake.obey(what);
    };
    const place = async (): Promise<string | undefined> => {
      const { stdout } = await device.run(['wg', 'show', 'postern0', 'allowed-ips']);
      const key = stdout
        .split('\n')
        .find((line) => line.includes(`${vip}/32`))
        ?.split('\t')[0];
      return [...nodes].find(([, { publicKey }]) => publicKey === key)?.[0];
    };
    const switches = () =>
      readFileSync(join(state, 'watch.log'), 'utf8')
        .split('\n')
        .filter((line) => / has the packets now/.test(line));
    const filter = async (change: '-I' | '-D', ...match: string[]) => {
      const { exitCode, stderr } = await hub.run(['iptables', '-w', change, 'FORWARD', ...match]);
      if (exitCode !== 0) throw new Error(stderr);
    };
    const cut = async (node: NodeName, change: '-I' | '-D' = '-I') => {
      for (const direction of ['-i', '-o']) await filter(change, direction, `to-${node}`, '-j', 'DROP');
    };
    /** What is felt while something fails: the longest time without an answer, and the time to the first of the new node. */
    const feel = async (fail: () => Promise<unknown>, to: NodeName) => {
      const echo = ask(device, service);
      await Bun.sleep(700);
      const before = Date.now();
      await fail();
      await until(async () => (await place()) === to, 8_000);
      await Bun.sleep(400);
      const { asked, heard } = await echo.end();
      const times = heard.map(([at]) => at);
      const longestMs = Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)));
      const firstMs = (heard.find(([at, node]) => node === to && at >= before)?.[0] ?? Number.NaN) - before;
      return { longestMs, firstMs, lost: asked - heard.length, nodes: [...new Set(heard.map(([, node]) => node))] };
    };

    test('begins on the active node', async () => {
      const ended = await run('up');
      expect(ended.exitCode).toBe(0);
      expect([JSON.parse(ended.stdout).node, await place()]).toEqual(['n1', 'n1']);
    });

    test('leaves a node that is emptied, and loses nothing', async () => {
      await Bun.sleep(500);
      const { lost, nodes: felt } = await feel(async () => {
        await order('n2', { says: active });
        await order('n1', { says: { ...standby, draining: true }, hints: 1 });
      }, 'n2');
      expect(felt).toEqual(['n1', 'n2']);
      expect(lost).toBeLessThan(5);
    }, 15_000);

    test('leaves a node that falls silent, and tells what it felt', async () => {
      await order('n1', { says: standby });
      const { longestMs } = await feel(() => cut('n2'), 'n1');
      expect(longestMs).toBeLessThan(4_000);
      await until(async () => (await order('n1', {})).outages.length === 2, 15_000);
      const [drained, silent] = (await order('n1', {})).outages;
      expect(drained).toMatchObject({ from: 'n1', to: 'n2', cause: 'draining' });
      expect(silent).toMatchObject({ from: 'n2', to: 'n1', cause: 'silent' });
      const status = JSON.parse((await run('status')).stdout);
      expect(status).toMatchObject({ connected: true, node: 'n1', cause: 'silent', outages: [silent, drained] });
      expect(status.nodes[1]).toMatchObject({ name: 'n2', isAnswering: false });
    }, 30_000);

    if (name !== runtimes[0]?.name) return;

    test('leaves a node that says itself that it is not well', async () => {
      await order('n2', { says: standby });
      await order('n3', { says: active });
      await feel(() => order('n1', { says: { ...standby, healthy: false }, hints: 1 }), 'n3');
      await order('n1', { says: standby });
      await cut('n2', '-D');
    }, 15_000);

    test('does not move for hints, nor for two nodes that both claim to be active, nor ask without end', async () => {
      const before = switches().length;
      await order('n1', { says: active });
      const { probes } = await order('n3', {});
      for (let round = 0; round < 20; round += 1) {
        await Promise.all(names.map((node) => order(node, { hints: 20 })));
        await Bun.sleep(50);
      }
      await Bun.sleep(300);
      expect([await place(), switches().length]).toEqual(['n3', before]);
      const asked = (await order('n3', {})).probes - probes;
      expect(asked).toBeGreaterThan(1);
      expect(asked).toBeLessThan(60);
      await order('n1', { says: standby });
    }, 15_000);

    test('does not move when every twentieth packet is lost', async () => {
      const before = switches().length;
      const loss = ['-p', 'udp', '-m', 'statistic', '--mode', 'random', '--probability', '0.05', '-j', 'DROP'];
      const echo = ask(device, service);
      await filter('-I', ...loss);
      await Bun.sleep(4_000);
      await filter('-D', ...loss);
      const { asked, heard } = await echo.end();
      expect(heard.length).toBeLessThan(asked);
      expect([await place(), switches().length]).toEqual(['n3', before]);
    }, 15_000);

    test('a watcher that begins anew stays where the last one was', async () => {
      await device.run(['sh', '-c', 'pkill -KILL -f "postern-client.js watch"']);
      const watching = device.start([runtime, client, 'watch', '--state-dir', state]);
      await until(async () => JSON.parse((await run('status')).stdout).watcherPid !== null, 5_000);
      await Bun.sleep(1_000);
      expect(await place()).toBe('n3');
      watching.kill();
    }, 15_000);

    test('outlives a node that dies with all that is on it', async () => {
      expect((await run('up')).exitCode).toBe(0);
      await Bun.sleep(1_000);
      expect(await place()).toBe('n3');
      const { longestMs } = await feel(async () => nodes.get('n3')?.space.close(), 'n1');
      expect(longestMs).toBeLessThan(4_000);
    }, 15_000);
  },
);

/** The other end of each cable leads everywhere. */
async function plug(hub: Namespace, space: Namespace, name: string, subnet: number): Promise<void> {
  const net = `198.18.${subnet}`;
  await connectNamespaces([hub, `to-${name}`, `${net}.254/24`], [space, 'out0', `${net}.1/24`]);
  await space.run(['ip', 'route', 'add', 'default', 'via', `${net}.254`]);
}

type FakeNode = { space: Namespace; publicKey: string; obey(order: Order): Promise<Told> };

async function startNode(space: Namespace, place: Place): Promise<FakeNode> {
  const program = space.start([process.execPath, join(import.meta.dir, 'fixture/fake-node.ts'), JSON.stringify(place)]);
  const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? '{}');
  const { publicKey } = await next();
  return {
    ...{ space, publicKey },
    obey: async (order) => {
      program.stdin.write(`${JSON.stringify(order)}\n`);
      return next();
    },
  };
}

function ask(device: Namespace, address: string) {
  const program = device.start([
    process.execPath,
    join(import.meta.dir, 'fixture/ask-echo.ts'),
    address,
    `${echoPort}`,
  ]);
  let said = '';
  program.stdout.on('data', (part) => {
    said += part;
  });
  return {
    end: async (): Promise<{ asked: number; heard: [number, string][] }> => {
      const ended = new Promise((resolve) => program.once('close', resolve));
      program.stdin.end();
      await ended;
      return JSON.parse(said);
    },
  };
}

async function until(isSo: () => Promise<boolean>, limitMs: number): Promise<void> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > limitMs) throw new Error(`not so after ${limitMs} ms`);
    await Bun.sleep(50);
  }
}
