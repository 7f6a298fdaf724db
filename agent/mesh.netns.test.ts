import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { type Host, type Started, until, whyNoNamespaces } from './fixture/hosts.ts';
import { answers } from './fixture/lab.ts';
import { buildMeshLab, type MeshLab, type MeshNode, vip } from './fixture/mesh-lab.ts';
import { policyOf, roles } from './fixture/roster.ts';

setDefaultTimeout(60_000);
const obstacle = whyNoNamespaces();
if (obstacle !== undefined) console.warn(`mesh.netns: skipped: ${obstacle}`);

const inner = '172.19.0.10';
const far = '172.20.0.10';
const front = '10.91.0.99';
const policy = policyOf(
  ...roles,
  'network inner = 172.19.0.0/16 via n1 dev eth-lan',
  'network far = 172.20.0.0/16 via n3 dev eth-lan no-nat',
  'service shop = 172.19.0.10 tcp/443, tcp/80 name shop.corp.internal front https',
  'allow admin -> inner, shop',
  'allow developer -> far tcp/80',
);

/** Said only where it is asked for: figures of a busy machine are no figures. */
const tell = (what: string, ms: number) => process.env.POSTERN_TELL && console.info(`${what}: ${Math.round(ms)} ms`);

describe.skipIf(obstacle !== undefined)('three nodes on three subnets, one of them behind NAT', () => {
  let lab: MeshLab;
  let n1: MeshNode;
  let n2: MeshNode;
  let n3: MeshNode;
  let revision = 0;
  const agents: Started[] = [];

  const publish = async (change: Partial<Snapshot> = {}) => {
    revision += 1;
    await lab.publish(lab.snapshot(revision, { policy, fronts: [{ service: 'shop', address: front }], ...change }));
  };
  const fetched = async (from: Host, address: string) =>
    (await from.run(['curl', '-s', '-m', '3', `http://${address}/`]).catch(() => 'nothing')).trim();
  const heard = async ({ host }: MeshNode) => {
    const shown = await host.run(['wg', 'show', 'wg-mesh', 'latest-handshakes']).catch(() => '');
    return shown.split('\n').filter((line) => /\t[1-9]/.test(line)).length;
  };

  beforeAll(async () => {
    lab = await buildMeshLab();
    [n1, n2, n3] = lab.nodes as [MeshNode, MeshNode, MeshNode];
    for (const node of lab.nodes) agents.push(await node.startAgent());
    await publish();
    await lab.ana.goTo(n2);
    await lab.ben.goTo(n2);
  });
  afterAll(() => lab?.stop());

  test('all hear each other, also the one that nobody can call', async () => {
    for (const node of lab.nodes) await until(`${node.name} hears both`, async () => (await heard(node)) === 2);
    for (const [from, to] of [
      [n1, n3],
      [n3, n2],
      [n2, n1],
    ] as const)
      expect(await answers(from.host, to.mesh.address)).toBe(true);
  });

  test('a network behind another node is reached through both, by the grants of the one a packet comes in at', async () => {
    const found = {
      admin: await fetched(lab.ana.host, inner),
      developer: await fetched(lab.ben.host, far),
      developerElsewhere: await fetched(lab.ben.host, inner),
      otherPort: await answers(lab.ben.host, far),
    };
    // The networks see the node that leads to them, also the one without NAT.
    expect(found).toEqual({
      admin: '172.19.0.1',
      developer: '172.20.0.1',
      developerElsewhere: 'nothing',
      otherPort: false,
    });
  });

  test("the other ports of a front lead to another node's network", async () => {
    expect(await fetched(lab.ana.host, front)).toBe('172.19.0.1');
    expect(await fetched(lab.ben.host, front)).toBe('nothing');
  });

  test('a node reaches networks behind others by itself, for what it serves there', async () =>
    expect(await fetched(n2.host, far)).toBe('172.20.0.1'));

  test('nothing else goes over the mesh', async () => {
    n1.host.start([process.execPath, '-e', 'Bun.serve({ port: 2222, fetch: () => new Response("secret") })']);
    await until('the service listens', async () => (await n1.host.status(['curl', '-s', '127.0.0.1:2222'])) === 0);
    await lab.inner.run(['ip', 'route', 'add', '172.20.0.0/16', 'via', '172.19.0.1']);
    await lab.inner.run(['ip', 'route', 'add', '10.77.7.0/24', 'via', '172.19.0.1']);
    expect({
      ownPort: await fetched(n2.host, `${n1.mesh.address}:2222`),
      fromNetwork: await fetched(lab.inner, far),
      fromNetworkToNode: await answers(lab.inner, n1.mesh.address),
    }).toEqual({ ownPort: 'nothing', fromNetwork: 'nothing', fromNetworkToNode: false });
  });

  test('every node answers at the address that moves, and leaves it to keepalived where else it is', async () => {
    expect(await answers(lab.ana.host, vip)).toBe(false);
    const probe = `const d = require('node:dgram').createSocket('udp4'); d.bind(0, '${vip}', () => process.exit(0));`;
    for (const { host } of lab.nodes) expect(await host.status([process.execPath, '-e', probe])).toBe(0);
    await n2.host.run(['ip', 'address', 'add', `${vip}/32`, 'dev', 'wg0']).catch(() => '');
    await publish();
    expect(await n2.host.run(['ip', 'address', 'show', 'dev', 'lo'])).toContain(vip);
  });

  test('what is taken away from the mesh comes back', async () => {
    await n2.host.run(['ip', 'route', 'delete', '172.19.0.0/16', 'dev', 'wg-mesh']);
    await until('the route is back', async () => (await fetched(lab.ana.host, inner)) === '172.19.0.1');
    await n2.host.run(['ip', 'link', 'delete', 'wg-mesh']);
    await until('the interface is back', async () => (await fetched(lab.ana.host, inner)) === '172.19.0.1', 30_000);
  });

  test('what the kernel tells of is looked at at once, and put right', async () => {
    const took = async (what: string, isRight: () => Promise<boolean>) => {
      const began = performance.now();
      await until(`${what} is put right`, isRight);
      tell(what, performance.now() - began);
    };
    const seen = n1.log().length;
    for (const device of ['wg-mesh', 'eth-lan']) {
      const path = `net.ipv4.conf.${device}.forwarding`;
      await n1.host.run(['sysctl', '-qw', `${path}=0`]);
      await took(`forwarding of ${device}`, async () => (await n1.host.run(['sysctl', '-n', path])).trim() === '1');
    }
    await n1.host.run(['ip', 'address', 'add', '10.91.0.77/32', 'dev', 'wg0']);
    const addresses = () => n1.host.run(['ip', 'address', 'show', 'dev', 'wg0']);
    await took('an address', async () => !(await addresses()).includes('10.91.0.77'));
    if (Bun.which('nft') !== null) {
      await n1.host.run(['iptables', '-I', 'FORWARD', '-j', 'ACCEPT']);
      const first = async () => (await n1.host.run(['iptables', '-S', 'FORWARD'])).split('\n')[1];
      await took('a rule on top', async () => (await first()) === '-A FORWARD -j POSTERN-FORWARD');
    }
    expect(n1.log().slice(seen)).toContain('repaired: ');
  });

  test('a node that moves is called where it is now', async () => {
    await n1.host.run(['ip', 'address', 'delete', '198.18.1.1/24', 'dev', 'eth0']);
    await n1.host.run(['ip', 'address', 'add', '198.18.1.77/24', 'dev', 'eth0']);
    await n1.host.run(['ip', 'route', 'replace', 'default', 'via', '198.18.1.254']);
    n1.mesh.endpoints = ['198.18.1.77:51821'];
    await publish();
    await until('it is reached again', async () => (await fetched(lab.ana.host, inner)) === '172.19.0.1', 30_000);
    expect(await n2.host.run(['wg', 'show', 'wg-mesh', 'endpoints'])).toContain('198.18.1.77:51821');
  });

  test('a node without a place in the mesh is alone', async () => {
    const { nodes } = lab.snapshot(1);
    await publish({
      nodes: nodes.map(({ mesh, ...node }) => (node.name === 'n3' || !mesh ? node : { ...node, mesh })),
    });
    expect(await n3.host.status(['ip', 'link', 'show', 'wg-mesh'])).toBe(1);
    expect(await n2.host.run(['wg', 'show', 'wg-mesh', 'peers'])).not.toContain(n3.mesh.publicKey);
    await publish();
    await until('it is back', async () => (await fetched(lab.ben.host, far)) === '172.20.0.1', 30_000);
  });

  test('teardown leaves nothing', async () => {
    await agents[1]?.signal('SIGTERM');
    await agents[1]?.exited;
    await n2.agent('teardown');
    const shown = await n2.host.run(['ip', 'address', 'show']);
    expect(shown).not.toMatch(/wg-mesh|wg0|10\.91\.0|10\.77\.7/);
    expect(await n2.host.run(['ip', 'route'])).not.toMatch(/172\.|wg-mesh/);
    expect(await n2.host.run(['iptables-save'])).not.toContain('POSTERN');
  });
});
