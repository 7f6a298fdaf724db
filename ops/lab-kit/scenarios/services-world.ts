import { join } from 'node:path';
import { Settings } from '#contract/settings.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import type { Program } from '../program.ts';
import { expect } from '../scenario.ts';
import { type Cluster, openCluster, putPolicy } from './cluster.ts';
import { snapshotOn } from './cluster-state.ts';
import { type ClusterWorld, lan } from './cluster-world.ts';
import { until } from './restore-world.ts';

const program = (name: string) => join(import.meta.dir, `../programs/${name}.ts`);

/** Stand-ins for the programs that have presets. */
const backends = [
  ['sso', 'keycloak', '172.19.0.30', 'tcp/8080'],
  ['vault', 'vaultwarden', '172.19.0.31', 'tcp/8080'],
  ['gitlab', 'gitlab', '172.19.0.32', 'tcp/80, tcp/22'],
] as const;

/** Where the internet's resolver is, as every node reaches it. */
const resolverAddress = '198.18.1.1';
export const internalDomain = 'corp.internal';

export type ServicesWorld = { cluster: Cluster; resolver: Program; fronts: Readonly<Record<string, string>> };

/** The cluster with these services in it, of which developers may reach all but the vault. */
export async function openServices(lab: Lab): Promise<ServicesWorld> {
  const cluster = await openCluster(lab);
  const { world, master } = cluster;
  const resolver = world.internet.start('resolver', ['bun', program('resolver'), resolverAddress]);
  await Promise.all([
    resolver.says(/listening/),
    ...backends.map(([, kind, address]) => startBackend(world, kind, address)),
  ]);
  await master.owner.ask(Settings, 'PATCH', '/v1/settings', { upstreams: [resolverAddress] });
  const gateways = world.nodes.map(({ name }) => `${name} dev ${lan.device}`).join(', ');
  await putPolicy(
    master,
    [
      'role admin includes developer',
      'role developer',
      `network internal = ${lan.cidr} via ${gateways}`,
      ...backends.map(
        ([name, kind, address, ports]) =>
          `service ${name} = ${address} ${ports} name ${name}.${internalDomain} front https preset ${kind}`,
      ),
      `service wiki = ${lan.wiki} tcp/80 name wiki.example.com`,
      'allow developer -> sso, gitlab, wiki',
      'allow admin -> vault',
      '',
    ].join('\n'),
  );
  const { fronts } = await snapshotOn(world.nodes[0]?.host ?? master.node);
  return { cluster, resolver, fronts: Object.fromEntries(fronts.map(({ service, address }) => [service, address])) };
}

async function startBackend({ lab, lanSwitch }: ClusterWorld, kind: string, address: string): Promise<void> {
  const [host] = await lab.boot(kind);
  await lab.link(
    { host: lanSwitch, name: `to-${kind}`, bridge: 'lan0' },
    { host, name: 'eth0', address: `${address}/16` },
  );
  await host.start('backend', ['bun', program('backend'), kind]).says(/listening/);
}

/** Waits until every node shows a certificate of the authority for each front. */
export async function certified({ cluster, fronts }: ServicesWorld, authority: string): Promise<number> {
  const { nodes } = cluster.world;
  await Promise.all(nodes.map(({ host }) => host.must(['tee', '/root/authority.pem'], { stdin: authority })));
  const shows = async (host: Host, name: string, address: string) => {
    const there = ['--connect-to', `${name}:443:${address}:443`, `https://${name}/`];
    const words = ['-sS', '-m', '2', '-o', '/dev/null', '--cacert', '/root/authority.pem', ...there];
    return (await host.run(['curl', ...words])).exitCode === 0;
  };
  return until('every node shows a certificate for each front', async () => {
    const asked = nodes.flatMap(({ host }) =>
      Object.entries(fronts).map(([service, address]) => shows(host, `${service}.${internalDomain}`, address)),
    );
    return (await Promise.all(asked)).every((isShown) => isShown);
  });
}

/** Asks a resolver for a name from some host. @returns its addresses, undefined when there is no answer. */
export async function resolve(from: Host, server: string, name: string, kind = 'A'): Promise<string | undefined> {
  const { stdout, exitCode } = await from.run(['bun', program('resolve'), server, name, kind]);
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** The names that the internet's resolver was asked for. */
export function askedOutside({ resolver }: ServicesWorld): string[] {
  return [...resolver.output().matchAll(/^asked (.*)$/gm)].map(([, name = '']) => name);
}

/** @returns how long a word took to come back over a WebSocket, in ms. */
export async function speak(from: Host, url: string, authorityFile: string): Promise<number> {
  const { stdout, exitCode } = await from.run(['bun', program('socket'), url, authorityFile], { timeoutMs: 15_000 });
  expect(exitCode === 0, () => `the WebSocket at ${url} did not answer`);
  return Number(stdout);
}
