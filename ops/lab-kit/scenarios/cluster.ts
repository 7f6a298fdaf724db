import { join } from 'node:path';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { IssuedNodeCode } from '#contract/node-enrolment.ts';
import { Caller } from '../caller.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { repository } from '../paths.ts';
import { expect } from '../scenario.ts';
import { type ClusterWorld, lan, type NodePlace, openClusterWorld } from './cluster-world.ts';
import * as product from './product.ts';
import { until } from './restore-world.ts';

/** The installed product on several nodes. */
export type Cluster = {
  world: ClusterWorld;
  master: product.Master;
  /** The user whose devices join. */
  admin: string;
  /** A command of the operator's, typed on the master. */
  postern(...words: readonly string[]): Promise<void>;
};

/**
 * The intranet is reached as it is, the wiki by its name through the nodes' own web server, the archive without NAT: its
 * LAN has to know which node leads back.
 */
export function clusterPolicy(nodes: readonly { name: string }[]): string {
  const gateways = nodes.map(({ name }) => `${name} dev ${lan.device}`).join(', ');
  return [
    'role admin',
    'role developer',
    `network internal = ${lan.cidr} via ${gateways}`,
    `network plain    = ${lan.plainCidr} via ${gateways} no-nat`,
    `service intranet = ${lan.intranet} tcp/80, tcp/7000`,
    `service wiki     = ${lan.wiki} tcp/80 name wiki.corp.internal front https`,
    `service archive  = ${lan.archive} tcp/7000`,
    'allow everyone -> intranet, wiki, archive',
    'allow admin -> internal',
    '',
  ].join('\n');
}

/** Three nodes and the policy above, in force on all of them. `nodes` may be fewer. */
export async function openCluster(lab: Lab, options: { nodes?: number } = {}): Promise<Cluster> {
  const world = await openClusterWorld(lab, options);
  const master = await installCluster(world);
  await putPolicy(master, clusterPolicy(world.nodes));
  const admin = await product.makeUser(master, 'ana@example.com', 'admin');
  const postern = async (...words: readonly string[]) => void (await master.node.must(['postern', ...words]));
  return { world, master, admin, postern };
}

/** `ops/up` on n1, and the others join it. */
export async function installCluster({ internet, nodes }: ClusterWorld): Promise<product.Master> {
  const [first, ...others] = nodes;
  expect(first !== undefined, () => 'a cluster needs a node');
  await product.up(first.host, '--endpoint', first.address);
  const installed = await product.masterOn(first.host);
  // The owner calls from outside, and goes on when n1 dies.
  const token = (await first.host.must(['cat', `${product.stateDir}/owner.token`])).trim();
  const master = { ...installed, owner: new Caller(internet, installed.url, token) };
  await Promise.all(others.map((node) => admit(master, node)));
  return master;
}

/** Makes a machine a node: a code from the master, and one line typed on the machine. */
export async function admit(master: product.Master, { name, host, address }: NodePlace): Promise<void> {
  const body = { name, endpoints: [`${address}:51820`] };
  const { code } = (await master.owner.ask(IssuedNodeCode, 'POST', '/v1/node-codes', body)).body;
  const { rootThumbprint } = JSON.parse(await master.node.must(['cat', `${product.stateDir}/init.json`]));
  await opsUp(host, ['--join', master.url, '--root', rootThumbprint], { POSTERN_CODE: code });
}

/** Starts again what runs on a node, as its machine does when it comes up. */
export async function startNode({ host }: Pick<NodePlace, 'host'>): Promise<void> {
  await opsUp(host, []);
}

async function opsUp(host: Host, words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const options = ['--detach', '--json', '--state-dir', product.stateDir];
  await host.must([join(repository, 'ops/up'), ...options, ...words], { timeoutMs: 120_000, env });
}

/** Puts a document in force, and waits until it is on every node. */
export async function putPolicy({ owner }: product.Master, document: string): Promise<void> {
  const { etag } = await owner.call('GET', '/v1/policy');
  const { status, text } = await owner.call('PUT', '/v1/policy', { document }, { 'if-match': etag ?? '' });
  expect(status === 200, () => `PUT /v1/policy answered ${status}: ${text.slice(0, 2_000)}\n${document}`);
  const Changed = v.object({ convergence: v.object({ revision: v.number() }) });
  const { convergence } = v.parse(Changed, JSON.parse(text));
  await until('the policy is in force on every node', async () => {
    const { items } = (await owner.ask(v.object({ items: v.array(NodeResource) }), 'GET', '/v1/nodes')).body;
    return items.every(({ applied, problem }) => problem === null && (applied?.revision ?? 0) >= convergence.revision);
  });
}

/** A person's device joins by hand. */
export function joinCluster({ master, admin }: Cluster, host: Host): Promise<product.Joined> {
  return product.joinByHand(master, host, admin);
}
