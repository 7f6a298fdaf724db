import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { ProbeAnswer } from '#contract/probe.ts';
import { agentPort, encodeProbe } from '#contract/probe.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { buildCluster, type Cluster, type ClusterNode } from './fixture/cluster.ts';
import { lines, until, whyNoNamespaces } from './fixture/hosts.ts';

setDefaultTimeout(60_000);
const obstacle = whyNoNamespaces() ?? (Bun.which('keepalived') === null ? 'not installed here: keepalived' : undefined);
if (obstacle !== undefined) console.warn(`failover.netns: skipped: ${obstacle}`);

/** Said only where it is asked for: figures of a busy machine are no figures. */
const tell = (what: string, ms: number) => process.env.POSTERN_TELL && console.info(`${what}: ${Math.round(ms)} ms`);

describe.skipIf(obstacle !== undefined)('three nodes', () => {
  let cluster: Cluster;
  let revision = 1;

  const named = (name: string | undefined) => {
    const node = cluster.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  };
  const holder = async () => {
    await until('one has the address', async () => (await cluster.holder()) !== undefined);
    return named(await cluster.holder());
  };
  const others = (node: ClusterNode) => cluster.nodes.filter((other) => other !== node);
  const publish = async (change: Partial<Snapshot> = {}) => {
    revision += 1;
    await cluster.publish(cluster.snapshot(revision, change));
    const isIn = ({ name }: ClusterNode) => change.nodes?.some((node) => node.name === name) ?? true;
    await until('it is in force', () =>
      cluster.nodes.every((node) => !isIn(node) || node.report()?.applied?.revision === revision),
    );
  };
  /** Until one of the others has the address. */
  const takenFrom = async (before: ClusterNode, began = performance.now()) => {
    const came = () =>
      others(before).flatMap(({ name, moves }) => {
        const move = moves.find(({ at, isHere }) => isHere && at >= began);
        return move === undefined ? [] : [{ name, after: move.at - began }];
      })[0];
    await until('another has the address', () => came() !== undefined);
    const { name, after } = came() ?? { name: '', after: 0 };
    return { node: named(name), after };
  };
  const movesOf = (nodes: readonly ClusterNode[]) => nodes.map(({ moves }) => moves.length);
  const calm = () =>
    until('all are healthy, and all but one stand by', async () => {
      const states = cluster.nodes.map((node) => node.report()?.vrrp);
      const isWell = cluster.nodes.every((node) => node.report()?.health?.healthy);
      const one = await cluster.holder();
      return (
        one !== undefined &&
        isWell &&
        states.filter((state) => state === 'MASTER').length === 1 &&
        !states.includes('DEAD')
      );
    });
  /** What a node answers another one in the mesh. */
  const ask = async (from: ClusterNode, to: ClusterNode): Promise<ProbeAnswer> => {
    const [source, target] = [from, to].map(({ name }) => `10.90.0.${name.slice(1)}`);
    const script = `const d = require('node:dgram').createSocket('udp4');
      d.on('message', (m) => { console.log(m.toString()); process.exit(0); });
      d.bind(0, '${source}', () => d.send(${JSON.stringify(encodeProbe('0123456789abcdef'))}, ${agentPort}, '${target}'));`;
    const heard = lines(from.host.start([process.execPath, '-e', script]).stdout);
    return JSON.parse((await heard.next()).value ?? '{}');
  };

  beforeAll(async () => {
    cluster = await buildCluster();
    await cluster.publish(cluster.snapshot(revision));
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await holder();
    await calm();
  });
  afterAll(() => cluster?.stop());

  test('one has the address, and all say so', async () => {
    const active = await holder();
    await until('all see it', async () => {
      const answers = await Promise.all(
        cluster.nodes.map((node, place) => ask(cluster.nodes[(place + 1) % 3] ?? node, node)),
      );
      return answers.every(({ sees }) => sees === active.name);
    });
    const [asker] = others(active);
    if (asker === undefined) throw new Error('nobody else');
    expect(await ask(asker, active)).toMatchObject({
      node: active.name,
      bundleRevision: 0,
      healthy: true,
      vrrp: 'MASTER',
      vip: true,
      priority: 100,
    });
  });

  test('a new configuration is taken up without a move', async () => {
    const before = movesOf(cluster.nodes);
    await publish({ mesh: { cidr: '10.90.0.0/24', advertMilliseconds: 250 } });
    await publish({
      nodes: cluster.snapshot(1).nodes.map((node) => (node.name === 'n3' ? { ...node, priority: 200 } : node)),
    });
    await publish();
    await Bun.sleep(1_500);
    expect(movesOf(cluster.nodes)).toEqual(before);
    for (const { log } of cluster.nodes) expect(log()).toContain('keepalived takes up its new configuration');
  });

  test('every process of keepalived is killed: another takes over, and what was left behind is not believed', async () => {
    const active = await holder();
    const began = performance.now();
    await active.host.run(['kill', '-KILL', ...(await active.keepalived()).map(String)]);
    const taken = await takenFrom(active, began);
    tell('all processes of keepalived killed', taken.after);
    await calm();
    expect(await cluster.holder()).toBe(taken.node.name);
    expect(active.log().lastIndexOf('VRRP: DEAD')).toBeGreaterThan(active.log().lastIndexOf('VRRP: MASTER'));
    await until('it runs again', async () => (await active.keepalived()).length === 2);
  });

  test('the agent is killed: another takes over, and its return changes nothing', async () => {
    const active = await holder();
    const daemons = await active.keepalived();
    const began = performance.now();
    await active.kill();
    const taken = await takenFrom(active, began);
    tell('the agent killed', taken.after);
    const before = movesOf(cluster.nodes);
    await active.start();
    await until('it is back', () => active.report()?.vrrp === 'BACKUP');
    await calm();
    await Bun.sleep(1_500);
    expect(await active.keepalived()).toContain(daemons[0] ?? 0);
    expect(movesOf(others(active))).toEqual(before.filter((_, place) => cluster.nodes[place] !== active));
    expect(await cluster.holder()).toBe(taken.node.name);
  });

  test('the agent is stopped and started: keepalived goes on', async () => {
    const active = await holder();
    const [daemon] = await active.keepalived();
    const before = movesOf(cluster.nodes);
    const told = active.master.reports.length;
    await active.kill('SIGTERM');
    await active.start();
    await until('it is back', () => active.master.reports.slice(told).some(({ report }) => report.vrrp !== undefined));
    await calm();
    expect(await active.keepalived()).toContain(daemon ?? 0);
    const moved =
      movesOf(cluster.nodes).reduce((sum, count) => sum + count) - before.reduce((sum, count) => sum + count);
    tell('moves meanwhile (not a time)', moved);
  });

  test('cut off from the others, it lets go when it hears them again', async () => {
    const active = await holder();
    const began = performance.now();
    await active.cut();
    const taken = await takenFrom(active, began);
    tell('cut off', taken.after);
    await Bun.sleep(700);
    expect(await active.hasVip()).toBe(true);
    await active.mend();
    await until('one has the address again', async () => (await cluster.holder()) === taken.node.name);
    await Bun.sleep(2_500);
    expect(await cluster.holder()).toBe(taken.node.name);
    await calm();
  });

  test('drained, it gives the address away; alone, it would keep it', async () => {
    const active = await holder();
    const began = performance.now();
    const { nodes } = cluster.snapshot(1);
    await publish({ nodes: nodes.map((node) => (node.name === active.name ? { ...node, draining: true } : node)) });
    const taken = await takenFrom(active, began);
    tell('drained', taken.after);
    const [asker] = others(active);
    expect(asker && (await ask(asker, active))).toMatchObject({ healthy: true, draining: true, vrrp: 'FAULT' });
    await publish({ nodes: nodes.map((node) => ({ ...node, draining: true })) });
    await calm();
    expect(await cluster.holder()).toBe(taken.node.name);
    await publish();
    await calm();
  });

  test('forwarding that is switched off is told, or put right before anybody was told', async () => {
    const active = await holder();
    const began = performance.now();
    await active.host.run(['sysctl', '-qw', 'net.ipv4.conf.lan.forwarding=0']);
    const read = () => active.host.run(['cat', '/proc/sys/net/ipv4/conf/lan/forwarding']);
    await until('it is on again', async () => (await read()).trim() === '1');
    tell('forwarding put right', performance.now() - began);
    await calm();
  });

  test('where two cannot hear each other, both may have the address, and one lets go in the end', async () => {
    const active = await holder();
    const [other] = others(active);
    if (other === undefined) throw new Error('nobody else');
    await active.cutFrom(other);
    await Bun.sleep(2_000);
    for (const { host } of [active, other]) await host.run(['iptables', '-t', 'raw', '-F', 'PREROUTING']);
    await until('one has it', async () => (await cluster.holder()) !== undefined);
    await calm();
  });

  test('keepalived is ended with the last other node, and by teardown', async () => {
    const [first, second] = cluster.nodes;
    if (first === undefined || second === undefined) throw new Error('no nodes');
    await publish({
      nodes: cluster
        .snapshot(1)
        .nodes.slice(0, 2)
        .map(({ mesh: _, ...node }) => node),
    });
    await until('it is ended', async () => (await first.keepalived()).length === 0);
    await until('it has the address for itself', () => first.hasVip());
    await publish();
    await until('it is back', async () => (await second.keepalived()).length === 2);
    await second.kill('SIGTERM');
    expect((await second.keepalived()).length).toBeGreaterThan(1);
    await second.host.run([process.execPath, `${import.meta.dir}/main.ts`, 'teardown', '--state-dir', second.stateDir]);
    expect(await second.keepalived()).toEqual([]);
  });
});
