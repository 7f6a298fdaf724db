import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { codeFromBytes } from '#contract/code.ts';
import type { Order } from './fixture/lab-node.ts';
import { connectNamespaces, type Namespace, openNamespace, type Program } from './fixture/namespace.ts';
import { buildClient, type Ended, runtimes, temporaryFolder } from './fixture/program.ts';

/**
 *   device namespace                  node namespace
 *   postern0 10.91.64.70 ~~~~~~~~~~~~ wg0 10.91.64.2, lo 172.19.0.1
 *   out0     192.0.2.2   ------------ in0 192.0.2.1    master, node and a TCP echo: fixture/lab-node.ts
 *
 * Real wireguard-go, real packets; the client as people get it, by each runtime.
 */

const canRun = process.getuid?.() === 0 && existsSync('/dev/net/tun') && existsSync('/usr/bin/wireguard-go');
const why = 'needs root, /dev/net/tun and wireguard-go';
const code = codeFromBytes(new Uint8Array(15).fill(9));
const internal = { name: 'internal', cidr: '172.19.0.0/16', nodes: ['n1'] };
const lost = { name: 'lost', cidr: '172.29.0.0/16', nodes: ['n1'] };
const home = { name: 'home', cidr: '192.0.2.0/24', nodes: ['n1'] };

const folder = temporaryFolder();
let client: string;
beforeAll(() => {
  client = buildClient(folder.path);
});
afterAll(() => folder.remove());

describe.skipIf(!canRun).each(runtimes)(`a device under $name (${why})`, ({ name, path: runtime }) => {
  const state = join(folder.path, `state-${name}`);
  let node: Namespace;
  let device: Namespace;
  let lab: { url: string; root: string; obey(order: Order): Promise<void>; stop(): Promise<void> };

  beforeAll(async () => {
    [node, device] = await Promise.all([openNamespace(), openNamespace()]);
    await connectNamespaces([node, 'in0', '192.0.2.1/24'], [device, 'out0', '192.0.2.2/24']);
    lab = await startNode(node);
  });
  afterAll(() => {
    node?.close();
    device?.close();
  });

  const run = (...words: string[]): Promise<Ended> =>
    device.run([runtime, client, ...words, '--state-dir', state, '--json']);
  const joinLine = () =>
    device.run(
      [
        runtime,
        client,
        'join',
        '--master',
        lab.url,
        '--root',
        lab.root,
        '--code-file',
        '-',
        '--state-dir',
        state,
        '--json',
      ],
      { input: code },
    );
  const json = ({ stdout }: Ended) => JSON.parse(stdout);
  const reaches = async (address: string) => (await device.run(['ping', '-nqc1', '-W1', address])).exitCode === 0;
  const links = async () => (await device.run(['ip', '-br', 'link'])).stdout;
  const log = () => readFileSync(join(state, 'watch.log'), 'utf8');

  test('is inside after one code, and says how long it took', async () => {
    const ended = await joinLine();
    expect(json(ended)).toMatchObject({ ok: true, alreadyJoined: false, address: '10.91.64.70', node: 'n1' });
    expect(ended.stderr).toContain('Checking the master … ok');
    expect(json(ended).joinMs).toBeGreaterThan(json(ended).handshakeMs);
    expect(await reaches('10.91.64.2')).toBe(true);
    expect(readdirSync(state)).toContain('device.json');
  });

  test('joining again changes nothing', async () => {
    const before = (await device.run(['wg', 'show', 'postern0', 'dump'])).stdout.split('\t')[0];
    const ended = await joinLine();
    expect([ended.exitCode, json(ended).alreadyJoined]).toEqual([0, true]);
    expect((await device.run(['wg', 'show', 'postern0', 'dump'])).stdout.split('\t')[0]).toBe(before);
  });

  test('says that it is connected', async () => {
    const ended = await run('status');
    expect(ended.exitCode).toBe(0);
    expect(json(ended)).toMatchObject({ connected: true, node: 'n1', address: '10.91.64.70', problems: [] });
  });

  test('a hint brings a new network at once, and a running flow does not notice', async () => {
    const talk = startTalk(device, '10.91.64.2');
    expect(await reaches('172.19.0.1')).toBe(false);
    await lab.obey({ networks: [internal], signed: 'well', age: 'newer', hint: true });
    await until(() => reaches('172.19.0.1'), 4_000);
    await Bun.sleep(400);
    const { exchanges, isBroken, longestMs } = await talk.end();
    expect(isBroken).toBe(false);
    expect(exchanges).toBeGreaterThan(10);
    expect(longestMs).toBeLessThan(1_000);
  });

  test('a network that this machine has itself is left alone, and it says so', async () => {
    await lab.obey({ networks: [internal, home], signed: 'well', age: 'newer', hint: true });
    await until(async () => json(await run('status')).networks.length === 2, 8_000);
    const { problems, networks } = json(await run('status'));
    expect(problems.join()).toContain('this machine has 192.0.2.0/24 itself, on out0');
    expect(networks).toContainEqual({
      ...home,
      nodes: undefined,
      node: 'n1',
      isRouted: false,
      reason: expect.any(String),
    });
    expect(await reaches('172.19.0.1')).toBe(true);
  });

  test.each(['badly signed', 'older'])('a bundle that is %s is not taken, and the log says why', async (fault) => {
    const signed = fault === 'older' ? 'well' : 'badly';
    await lab.obey({ networks: [lost], signed, age: fault === 'older' ? 'older' : 'newer', hint: true });
    const reason = fault === 'older' ? /older than/ : /signature is not valid/;
    await until(async () => reason.test(log()), 8_000);
    const { stdout } = await device.run(['ip', 'route']);
    expect(stdout).not.toContain('172.29.0.0');
    expect(stdout).toContain('172.19.0.0');
  });

  test('the tunnel is rebuilt when wireguard-go is killed', async () => {
    await device.run(['sh', '-c', 'kill -KILL $(pgrep -x wireguard-go)']);
    await until(() => reaches('172.19.0.1'), 12_000);
    expect(log()).toContain('was gone and is made anew');
  }, 20_000);

  test('a second watcher leaves it to the first', async () => {
    const ended = await device.run([runtime, client, 'watch', '--state-dir', state, '--json']);
    expect(json(ended)).toMatchObject({ watched: false });
    expect(json(await run('status')).watcherPid).not.toBeNull();
  });

  test('down leaves no interface and no watcher, and up brings all back', async () => {
    expect((await run('down')).exitCode).toBe(0);
    expect(await links()).not.toContain('postern0');
    expect((await device.run(['pgrep', '-af', 'postern-client.js watch'])).stdout.replace(/.*<defunct>.*/g, '')).toBe(
      '',
    );
    const down = await run('status');
    expect([down.exitCode, json(down).connected]).toEqual([1, false]);
    expect((await run('down')).exitCode).toBe(0);

    expect((await run('up')).exitCode).toBe(0);
    expect(await reaches('172.19.0.1')).toBe(true);
  });

  test('leave tells the master and leaves nothing behind', async () => {
    const ended = await run('leave');
    expect(json(ended)).toMatchObject({ ok: true, wasJoined: true, masterTold: true });
    expect(await links()).not.toContain('postern0');
    expect((await device.run(['ip', 'route'])).stdout.trim().split('\n')).toHaveLength(1);
    expect(existsSync(state)).toBe(false);
    expect((await node.run(['wg', 'show', 'wg0', 'peers'])).stdout).toBe('');
    expect((await run('leave')).exitCode).toBe(0);
  });

  // Under one runtime: it takes its time, and what differs between them was tried above.
  if (name === runtimes[0]?.name) {
    test('without a master it leaves by force only, and says who is still to be told', async () => {
      expect((await joinLine()).exitCode).toBe(0);
      await lab.stop();
      const refused = await run('leave');
      expect([refused.exitCode, json(refused).code]).toEqual([4, 'master-unreachable']);
      expect(refused.stderr).toContain('Nothing was removed');
      expect(refused.stderr).toContain('leave --force');
      expect(existsSync(join(state, 'wireguard.key'))).toBe(true);

      const forced = await run('leave', '--force');
      expect(json(forced)).toMatchObject({ ok: true, wasJoined: true, masterTold: false });
      expect(await links()).not.toContain('postern0');
      expect(existsSync(state)).toBe(false);
    }, 20_000);
  }
});

async function startNode(node: Namespace) {
  const program = node.start([process.execPath, join(import.meta.dir, 'fixture/lab-node.ts')]);
  const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? '{}');
  const { url, root } = await next();
  return {
    url,
    root,
    obey: async (order: Order) => {
      program.stdin.write(`${JSON.stringify(order)}\n`);
      await next();
    },
    stop: async () => {
      const ended = new Promise<void>((resolve) => program.once('close', () => resolve()));
      program.stdin.end();
      await ended;
    },
  };
}

function startTalk(device: Namespace, host: string) {
  const program: Program = device.start([process.execPath, join(import.meta.dir, 'fixture/talk.ts'), host, '7000']);
  let said = '';
  program.stdout.on('data', (part) => {
    said += part;
  });
  return {
    end: async () => {
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
