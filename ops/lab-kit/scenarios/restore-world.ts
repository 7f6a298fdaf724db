import { join } from 'node:path';
import * as v from 'valibot';
import { NetworkResource, NodeResource } from '#contract/admin.ts';
import { patience } from '../command.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { repository } from '../paths.ts';
import type { Program } from '../program.ts';
import { forward } from '../router.ts';
import { expect } from '../scenario.ts';
import { addresses, bridge, natRouter } from './office.ts';
import type { Master } from './product.ts';
import { stateDir } from './product.ts';

export const topology = `
  laptop 192.168.1.50 -- home (NAT) -- 203.0.113.2 --+                     +-- 198.51.100.10 n1: the master, and a node
                                                     |                     |
                                                  internet -- 198.51.100.1 +-- 198.51.100.20 spare: a fresh machine
                                                     |
                                                     +-- 198.18.0.10 n2: a node -- br-internal 172.19.0.0/16 -- intranet .10
`;

export const spareAddress = '198.51.100.20';
const n2Address = '198.18.0.10';
const agentMain = join(repository, 'agent/main.ts');

export type World = { internet: Host; n1: Host; spare: Host; n2: Host; intranet: Host; home: Host };

export async function openWorld(lab: Lab): Promise<World> {
  const [internet, n1, spare, n2, intranet] = await lab.boot('internet', 'n1', 'spare', 'n2', 'intranet');
  await forward(internet);
  await internet.ip('link add public type bridge', 'addr add 198.51.100.1/24 dev public', 'link set public up');
  for (const [host, address] of [
    [n1, addresses.node],
    [spare, spareAddress],
  ] as const) {
    const inside = { host: internet, name: `to-${host.name}`, bridge: 'public' };
    await lab.link(inside, { host, name: 'eth0', address: `${address}/24` });
    await host.ip('route add default via 198.51.100.1');
  }
  await lab.link(
    { host: internet, name: 'to-n2', address: '198.18.0.1/24' },
    { host: n2, name: 'eth0', address: `${n2Address}/24` },
  );
  await n2.ip('route add default via 198.18.0.1');
  await bridge(lab, n2, 'internal', intranet, `${addresses.intranet}/16`, '172.19.0.1/16');
  const home = await natRouter(lab, internet, 'home', '203.0.113', '192.168.1.1/24');
  const site = intranet.start('site', ['bun', join(import.meta.dir, '../programs/site.ts'), 'intranet']);
  await site.says(/listening/);
  return { internet, n1, spare, n2, intranet, home };
}

/** Makes n2 a node of the master, with the internal network behind it. */
export async function addSecondNode({ n2 }: World, { owner, url }: Master, root: string): Promise<Program> {
  const Keys = v.object({ publicKey: v.string(), agentKey: v.string() });
  const keys = v.parse(Keys, JSON.parse(await agentOn(n2, 'init')));
  await owner.ask(NodeResource, 'POST', '/v1/nodes', { name: 'n2', ...keys, endpoints: [`${n2Address}:51820`] });
  await agentOn(n2, 'configure', '--node', 'n2', '--master', url, '--root', root);
  const agent = startAgent(n2);
  const gateways = [{ node: 'n2', device: 'br-internal' }];
  const network = { name: 'internal', cidr: '172.19.0.0/16', gateways, roles: ['admin'] };
  await owner.ask(NetworkResource, 'POST', '/v1/networks', network);
  return agent;
}

export function agentOn(host: Host, command: string, ...words: string[]): Promise<string> {
  return host.must(['bun', agentMain, command, '--state-dir', stateDir, ...words]);
}

export function startAgent(host: Host): Program {
  return host.start('agent', ['bun', agentMain, 'run', '--state-dir', stateDir]);
}

/** A machine takes the master's address. Its router forgets who had it, as when the machine announces itself. */
export async function take({ internet }: World, host: Host): Promise<void> {
  await host.ip(`addr add ${addresses.node}/24 dev eth0`);
  await internet.ip('neigh flush dev public');
}

export async function giveBack({ internet }: World, from: Host, to: Host): Promise<void> {
  await from.ip(`addr del ${addresses.node}/24 dev eth0`);
  await to.ip('link set eth0 up', 'route replace default via 198.51.100.1');
  await internet.ip('neigh flush dev public');
}

/** Carries a file from one machine to another. */
export async function carryFile(from: Host, to: Host, path: string): Promise<void> {
  const stdin = await from.must(['base64', '-w0', path]);
  await to.must(['sh', '-c', 'umask 077; base64 -d >"$1"', 'sh', path], { stdin });
}

/** The epoch of what n2 has put in force, and of the laptop's bundle. */
export async function epochOnNode(host: Host): Promise<number> {
  return JSON.parse(await host.must(['cat', `${stateDir}/agent/high-water.json`])).epoch;
}

export async function epochOnDevice(host: Host): Promise<number> {
  const bundle = await host.must(['cat', '/var/lib/postern-client/bundle.jws']);
  return JSON.parse(Buffer.from(bundle.split('.')[1] ?? '', 'base64url').toString('utf8')).epoch;
}

/** A TCP connection through n2 that says something every 20 ms. `end` gives its longest silence, in ms. */
export async function converse(from: Host): Promise<{ end(): Promise<number> }> {
  const program = join(import.meta.dir, '../programs/conversation.ts');
  const conversation = from.start('conversation', ['bun', program, addresses.intranet, '7000']);
  await conversation.says(/running/);
  return {
    async end() {
      await conversation.stop('SIGTERM');
      const said = conversation.output().trimEnd().split('\n').at(-1) ?? '';
      const Summary = v.object({ sent: v.number(), heard: v.number(), longestGapMs: v.number(), how: v.string() });
      const { sent, heard, longestGapMs, how } = v.parse(Summary, JSON.parse(said));
      expect(how === 'unbroken' && heard > 50 && sent - heard <= 10, () => `the flow was hurt: ${said}`);
      return longestGapMs;
    },
  };
}

/** Whether the agent of a node answers the device in the tunnel. */
export async function probes(host: Host, tunnelAddress: string): Promise<boolean> {
  const { exitCode } = await host.run([
    'curl',
    '-s',
    '-m',
    '1',
    '-o',
    '/dev/null',
    `http://${tunnelAddress}:51830/v1/trust`,
  ]);
  return exitCode === 0;
}

/** @returns how long it took, in ms. */
export async function until(what: string, isSo: () => Promise<boolean>, limitMs = 90_000): Promise<number> {
  const start = performance.now();
  while (!(await isSo())) {
    expect(performance.now() - start < limitMs * patience, () => `not within ${limitMs / 1000} s: ${what}`);
    await Bun.sleep(20);
  }
  return Math.round(performance.now() - start);
}
