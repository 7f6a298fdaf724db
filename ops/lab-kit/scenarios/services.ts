import * as v from 'valibot';
import type { Host } from '../host.ts';
import { type Context, expect, type Scenario } from '../scenario.ts';
import { joinCluster } from './cluster.ts';
import { faultsOf } from './cluster-faults.ts';
import { type Landmarks, landmarksOf, nodeOf, settled } from './cluster-state.ts';
import { clusterTopology, machineNearby } from './cluster-world.ts';
import { makeUser, opens } from './product.ts';
import { until } from './restore-world.ts';
import { ask, authorityFile, Visit, visit } from './services-visit.ts';
import {
  askedOutside,
  certified,
  internalDomain,
  openServices,
  resolve,
  type ServicesWorld,
} from './services-world.ts';

const extents = { short: { uploadMegabytes: 20 }, long: { uploadMegabytes: 300 } } as const;

export const services: Scenario = {
  name: 'services',
  description: 'Keycloak, Vaultwarden and GitLab by name and HTTPS, before and after a failover, and by nobody else',
  topology: `${clusterTopology}
  On the service LAN also: keycloak .30, vaultwarden .31, gitlab .32. A resolver of the internet's at 198.18.1.1.
  Clients do not set DNS yet: the laptop's own /etc/resolv.conf names the address that moves.
`,
  figures: v.strictObject({
    certified_ms: v.number(),
    before: Visit,
    after: Visit,
    switched_ms: v.number(),
    refused_by_name: v.number(),
    closed_outside: v.number(),
    asked_outside: v.number(),
    asked_outside_of_ours: v.number(),
  }),
  async run(context) {
    const { lab, step, check, short } = context;
    const { uploadMegabytes } = short ? extents.short : extents.long;
    const world = await step('three nodes, three services behind fronts, and two laptops', () => openServices(lab));
    const { cluster } = world;
    const landmarks = await landmarksOf(cluster.world, cluster.master.node);
    const { text: authority } = await cluster.master.owner.call('GET', '/v1/authority');
    const certified_ms = await step('every node has a certificate for each front', () => certified(world, authority));
    const laptop = await machineNearby(cluster.world, 'laptop');
    const { device } = await joinCluster(cluster, laptop);
    await furnish(laptop, landmarks.vip, authority);
    await settled(cluster, landmarks, [laptop]);

    const go = () => visit(laptop, device.address, uploadMegabytes);
    const before = await step('each is used by its name', go);
    let refused_by_name = 0;
    await check('no front answers for another', async () => {
      refused_by_name = await othersNames(world, laptop);
    });
    await check('who may not open a service does not open it', () => uninvited(world, landmarks, authority));
    let closed_outside = 0;
    await check('outside the tunnel nothing answers', async () => {
      closed_outside = await outside(world, landmarks);
    });
    await check('names of ours are answered here, and others are asked for', () => names(world, laptop, landmarks));

    const switched_ms = await failover(context, world, landmarks, laptop);
    const after = await step('each is used by its name again', go);
    await check('no front answers for another on the new node either', () => othersNames(world, laptop));
    const asked = askedOutside(world);
    const ours = asked.filter((name) => /(^|\.)(corp\.internal|wiki\.example\.com)$/.test(name));
    await check('the resolver outside was asked for other names, and for none of ours', async (note) => {
      note(`${asked.length} questions`);
      expect(asked.includes('example.org'), () => `it was asked for ${asked.join(', ') || 'nothing'}`);
      expect(ours.length === 0, () => `it was asked for ${ours.join(', ')}`);
    });
    return {
      certified_ms,
      before,
      after,
      switched_ms,
      refused_by_name,
      closed_outside,
      asked_outside: asked.length,
      asked_outside_of_ours: ours.length,
    };
  },
};

/** What the client does not do yet: the laptop asks inside for names, and trusts the authority where it is told to. */
async function furnish(laptop: Host, vip: string, authority: string): Promise<void> {
  await laptop.must(['tee', '/etc/resolv.conf'], { stdin: `nameserver ${vip}\noptions timeout:1 attempts:5\n` });
  await laptop.must(['tee', authorityFile], { stdin: authority });
}

/** @returns how many ways to a service under another's name were refused. */
async function othersNames({ fronts }: ServicesWorld, laptop: Host): Promise<number> {
  const at = (service: string, front: string) => {
    const host = `${service}.${internalDomain}`;
    return ['--connect-to', `${host}:443:${fronts[front]}:443`, `https://${host}/`];
  };
  const rows: [string, string[], Partial<Awaited<ReturnType<typeof ask>>>][] = [
    ["gitlab's own name", at('gitlab', 'gitlab'), { status: 200 }],
    ['gitlab without TLS', [`http://gitlab.${internalDomain}/`], { status: 308 }],
    ['vault in the request', ['-H', `Host: vault.${internalDomain}`, ...at('gitlab', 'gitlab')], { status: 421 }],
    [
      'vault in the request, HTTP/1.1',
      ['--http1.1', '-H', `Host: vault.${internalDomain}`, ...at('gitlab', 'gitlab')],
      { status: 421 },
    ],
    ['vault in the handshake', at('vault', 'gitlab'), { exitCode: 35 }],
    ['gitlab in the handshake, at the vault', at('gitlab', 'vault'), { exitCode: 35 }],
    ['vault without TLS', ['-H', `Host: vault.${internalDomain}`, `http://gitlab.${internalDomain}/`], { status: 421 }],
    ['the address itself', [`https://${fronts.gitlab}/`], { exitCode: 35 }],
  ];
  for (const [what, words, expected] of rows) {
    const found = await ask(laptop, words);
    const isSo = Object.entries(expected).every(([key, value]) => found[key as keyof typeof found] === value);
    expect(isSo, () => `${what}: ${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
  return rows.length - 2;
}

/** A developer: reaches gitlab, and the vault neither at its own address nor anywhere else. */
async function uninvited({ cluster, fronts }: ServicesWorld, { vip }: Landmarks, authority: string): Promise<void> {
  const host = await machineNearby(cluster.world, 'developer');
  const admin = await makeUser(cluster.master, 'dev@example.com', 'developer');
  await joinCluster({ ...cluster, admin }, host);
  await furnish(host, vip, authority);
  const reached = await ask(host, [`https://gitlab.${internalDomain}/`]);
  expect(reached.status === 200, () => `a developer gets ${JSON.stringify(reached)} of gitlab`);
  const closed = [fronts.vault ?? '', '172.19.0.31'];
  for (const address of closed)
    for (const port of [80, 443, 8080])
      expect(!(await opens(host, address, port)), () => `a developer opens ${address}:${port}`);
}

/** @returns how many doors were tried from outside, all of them closed. */
async function outside({ cluster, fronts }: ServicesWorld, { vip, snapshot, pool }: Landmarks): Promise<number> {
  const { internet, wiki, nodes } = cluster.world;
  const inside = [vip, ...Object.values(fronts), ...snapshot.nodes.map(({ tunnelAddress }) => tunnelAddress)];
  /** From a host that sends what is for the pool to a node. */
  const tryAll = async (from: Host, node: string) => {
    await from.ip(`route replace ${pool} via ${node}`);
    const doors = [...inside, node].flatMap((to) => [53, 80, 443].map((port) => ({ to, port })));
    const servers = [vip, node];
    const [open, answers] = await Promise.all([
      Promise.all(doors.map(({ to, port }) => opens(from, to, port))),
      Promise.all(servers.map((server) => resolve(from, server, `gitlab.${internalDomain}`))),
    ]);
    await from.ip(`route del ${pool}`);
    const found = doors.filter((_, index) => open[index]).map(({ to, port }) => `${to}:${port}`);
    expect(found.length === 0, () => `${from.name} opens ${found.join(', ')} by ${node}`);
    expect(
      answers.every((one) => one === undefined),
      () => `${from.name} resolves names by ${node}`,
    );
    return doors.length + servers.length;
  };
  const from = async (host: Host, ways: readonly string[]) => {
    let tried = 0;
    for (const way of ways) tried += await tryAll(host, way);
    return tried;
  };
  const tried = await Promise.all([
    from(
      internet,
      nodes.map(({ address }) => address),
    ),
    from(
      wiki,
      nodes.map(({ lanAddress }) => lanAddress),
    ),
  ]);
  return tried.reduce((sum, one) => sum + one, 0);
}

async function names({ fronts }: ServicesWorld, laptop: Host, { vip, snapshot }: Landmarks): Promise<void> {
  const [node] = snapshot.nodes;
  const rows = [
    [`gitlab.${internalDomain}`, 'A', fronts.gitlab],
    [`${node?.name}.${internalDomain}`, 'A', node?.tunnelAddress],
    [`vpn.${internalDomain}`, 'A', vip],
    ['wiki.example.com', 'A', '172.19.0.20'],
    [`gitlab.${internalDomain}`, 'AAAA', undefined],
    ['wiki.example.com', 'AAAA', undefined],
    [`nobody.${internalDomain}`, 'A', undefined],
    [internalDomain, 'A', undefined],
    ['gitlab', 'A', undefined],
    ['1.0.168.192.in-addr.arpa', 'PTR', undefined],
    ['example.org', 'A', '203.0.113.80'],
  ] as const;
  for (const [name, kind, expected] of rows) {
    const found = await resolve(laptop, vip, name, kind);
    expect(found === expected, () => `${kind} of ${name} is ${found}, not ${expected}`);
  }
}

/** The active node dies. @returns how long until the laptop has another. */
async function failover({ step }: Context, { cluster }: ServicesWorld, landmarks: Landmarks, laptop: Host) {
  return step('the active node dies, and the laptop goes to another', async (note) => {
    const victim = await settled(cluster, landmarks, [laptop]);
    await faultsOf(cluster).kill.begin(victim);
    const ms = await until('the laptop is on another node', async () => {
      const now = await nodeOf(laptop, landmarks);
      return now !== undefined && now !== victim;
    });
    note(`from ${victim.name} to ${(await nodeOf(laptop, landmarks))?.name}`);
    return ms;
  });
}
