import { join } from 'node:path';
import * as v from 'valibot';
import { Device, IssuedCode, User } from '#contract/admin.ts';
import { Caller } from '../caller.ts';
import { LabError } from '../command.ts';
import type { Host } from '../host.ts';
import { repository } from '../paths.ts';
import { expect } from '../scenario.ts';
import { addresses } from './office.ts';

export const stateDir = '/var/lib/postern';
const clientCommand = /postern-client/;

/** The installed product on the node, and the owner's way to its API. */
export type Master = { node: Host; url: string; owner: Caller };

/** `ops/up` as an operator types it. @returns whether it had anything to change. */
export async function up(node: Pick<Host, 'must'>, ...more: string[]): Promise<boolean> {
  const options = ['--detach', '--state-dir', stateDir, '--endpoint', addresses.node, '--json', ...more];
  const said = await node.must([join(repository, 'ops/up'), ...options], { timeoutMs: 120_000 });
  return v.parse(v.object({ changed: v.boolean() }), JSON.parse(said)).changed;
}

/** The owner's calls, with the credential that `ops/up` left for `postern`. */
export async function masterOn(node: Host): Promise<Master> {
  const Config = v.object({ publicUrl: v.string() });
  const { publicUrl } = v.parse(Config, JSON.parse(await node.must(['cat', `${stateDir}/config.json`])));
  const token = (await node.must(['cat', `${stateDir}/owner.token`])).trim();
  return { node, url: publicUrl, owner: new Caller(node, publicUrl, token) };
}

export async function makeUser({ owner }: Master, email: string, role: string): Promise<string> {
  return (await owner.ask(User, 'POST', '/v1/users', { email, role })).body.id;
}

export async function makeCode({ owner }: Master, userId: string): Promise<IssuedCode> {
  return (await owner.ask(IssuedCode, 'POST', `/v1/users/${userId}/codes`, {})).body;
}

/** A device that is inside, and how long it took from the code's last key to the client's last word. */
export type Joined = { host: Host; device: Device; ms: number; screen: string };

/** A person runs the join line on a terminal, types the code when asked, and waits. */
export async function joinByHand(master: Master, host: Host, userId: string): Promise<Joined> {
  const before = new Set((await devices(master)).map(({ id }) => id));
  const { code, join } = await makeCode(master, userId);
  const session = host.terminal(['sh', '-c', join.sh], { cwd: '/root' });
  await session.shows(/code[^\n]*[:?>]\s*$/i, 30_000);
  const start = performance.now();
  session.type(`${code}\n`);
  const exitCode = await session.exited;
  const ms = performance.now() - start;
  expect(exitCode === 0, () => `the client ended with ${exitCode}:\n${session.screen}`);
  const device = (await devices(master)).find(({ id }) => !before.has(id));
  if (device === undefined) throw new LabError('the client says it is inside, and the master knows no new device');
  return { host, device, ms, screen: session.screen };
}

export async function devices({ owner }: Master): Promise<readonly Device[]> {
  return (await owner.ask(v.object({ items: v.array(Device) }), 'GET', '/v1/devices?limit=500')).body.items;
}

/** Whether a TCP port opens from there, in a second or so. */
export async function opens(from: Host, address: string, port: number): Promise<boolean> {
  const probe = `exec 3<>/dev/tcp/${address}/${port}`;
  return (await from.run(['timeout', '1.5', 'bash', '-c', probe])).exitCode === 0;
}

export async function pings(from: Host, address: string): Promise<boolean> {
  return (await from.run(['ping', '-nqc', '1', '-W', '1', address])).exitCode === 0;
}

/** What one hears from the web server at an address; undefined when it does not answer within two seconds. */
export async function fetchPage(from: Host, address: string): Promise<string | undefined> {
  const { exitCode, stdout } = await from.run(['curl', '-sS', '-m', '2', `http://${address}/`]);
  return exitCode === 0 ? stdout.trim() : undefined;
}

/**
 * Lets a device send to a network it was not given: its own client is one's own to change, so only the node's answer
 * counts. Also takes away the client's own opinion by ending its programs.
 */
export async function forceRoute({ host }: Joined, cidr: string): Promise<void> {
  await host.kill9(clientCommand);
  const [peer = ''] = (await host.must(['wg', 'show', 'postern0', 'allowed-ips'])).trim().split('\n');
  const [key = '', allowed = ''] = peer.split('\t');
  await host.must(['wg', 'set', 'postern0', 'peer', key, 'allowed-ips', `${allowed.replaceAll(' ', ',')},${cidr}`]);
  await host.ip(`route replace ${cidr} dev postern0`);
}

/** How many packets a host has taken in by an interface. */
export async function packetsInto(host: Host, name: string): Promise<number> {
  return Number(await host.must(['cat', `/sys/class/net/${name}/statistics/rx_packets`]));
}
