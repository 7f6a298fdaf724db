import { join } from 'node:path';
import * as v from 'valibot';
import { Convergence, NetworkResource } from '#contract/admin.ts';
import type { Host } from '../host.ts';
import type { Program } from '../program.ts';
import { expect } from '../scenario.ts';
import { addresses, type Office } from './office.ts';
import type { Joined, Master } from './product.ts';

const program = (name: string) => join(import.meta.dir, '../programs', name);

/** Starts the internal services. */
export async function openSites({ intranet, workshop }: Office): Promise<void> {
  const sites = [intranet, workshop].map((host) => host.start('site', ['bun', program('site.ts'), host.name]));
  await Promise.all(sites.map((site) => site.says(/listening/)));
}

/** Something that answers on a port of a host, as an SSH server does. */
export async function listen(host: Host, port: number): Promise<Program> {
  const listener = host.start(`port-${port}`, ['bun', program('listener.ts'), `${port}`]);
  await listener.says(/listening/);
  return listener;
}

/**
 * Listens to a NAT router, which sees the first WireGuard packet of a machine behind it and the first that comes back.
 * What is returned ends the listening: it says how long that took.
 */
export async function watchHandshake(router: Host, machine: Host): Promise<() => Promise<number>> {
  const [, address = ''] = /inet ([\d.]+)/.exec(await machine.must(['ip', '-4', 'addr', 'show', 'eth0'])) ?? [];
  const flow = ['-p', 'udp', '--orig-src', address, '--dport', '51820'];
  const watch = router.start(`handshake-${machine.name}`, ['conntrack', '-E', ...flow, '-o', 'timestamp']);
  await Bun.sleep(100);
  const first = (kind: string) =>
    Number(new RegExp(`^\\[([\\d.]+)\\]\\s+\\[${kind}\\]`, 'm').exec(watch.output())?.[1]);
  return async () => {
    await watch.stop('SIGINT');
    const ms = (first('UPDATE') - first('NEW')) * 1_000;
    expect(ms >= 0, () => `${router.name} saw no handshake:\n${watch.output()}`);
    return rounded(ms);
  };
}

/** A TCP connection to the internal network that must outlive whatever happens meanwhile. */
export async function converse(from: Host): Promise<() => Promise<string>> {
  const conversation = from.start('conversation', ['bun', program('conversation.ts'), addresses.intranet, '7000']);
  await conversation.says(/running/);
  return async () => {
    await conversation.stop('SIGTERM');
    const said = conversation.output().trimEnd().split('\n').at(-1) ?? '';
    const Summary = v.object({ sent: v.number(), heard: v.number(), longestGapMs: v.number(), how: v.string() });
    const { sent, heard, longestGapMs, how } = v.parse(Summary, JSON.parse(said));
    expect(how === 'unbroken' && heard > 5 && sent - heard <= 5, () => `the other flow was hurt: ${said}`);
    expect(longestGapMs < 1_000, () => `the other flow stood still for ${longestGapMs} ms`);
    return `${heard} lines, longest gap ${longestGapMs} ms`;
  };
}

/** Adds a network and waits until a device that is inside gets there. @returns from the call to the first answer. */
export async function addNetwork({ owner }: Master, { host }: Joined): Promise<number> {
  const knocking = host.start(`reach-${Date.now()}`, ['bun', program('reach.ts'), addresses.workshop, '80']);
  await knocking.says(/knocking/);
  const network = {
    name: 'workshop',
    cidr: '172.20.0.0/16',
    gateways: [{ node: 'n1', device: 'br-workshop' }],
    roles: ['admin'],
  };
  const { sentAt } = await owner.ask(NetworkResource, 'POST', '/v1/networks', network);
  const [, reachedAt] = await knocking.says(/reached at ([\d.]+)/, 10_000);
  return rounded(Number(reachedAt) - sentAt);
}

/** Removes it again. @returns from the call to the node's word that it is out of force. */
export async function removeNetwork({ owner }: Master): Promise<number> {
  const { body, sentAt, answeredAt } = await owner.ask(Convergence, 'DELETE', '/v1/networks/workshop?uses=remove');
  expect(body.appliedBy.includes('n1') && body.pending.length === 0, () => `n1 did not apply: ${JSON.stringify(body)}`);
  return rounded(answeredAt - sentAt);
}

/** Revokes a device in the middle of a download. @returns from the call to the last byte that arrived. */
export async function revokeDuringDownload({ owner }: Master, { host, device }: Joined): Promise<number> {
  const url = `http://${addresses.intranet}/stream`;
  const download = host.start('download', ['bun', program('download.ts'), url]);
  await download.says(/running/);
  await Bun.sleep(500);
  const { body, sentAt } = await owner.ask(Convergence, 'DELETE', `/v1/devices/${device.id}`);
  expect(body.pending.length === 0, () => `n1 did not apply the revocation: ${JSON.stringify(body)}`);
  const [line] = await download.says(/^\{.*\}$/m, 10_000);
  const Summary = v.object({ bytes: v.number(), lastByteAt: v.number(), how: v.string() });
  const { bytes, lastByteAt } = v.parse(Summary, JSON.parse(line));
  expect(bytes > 100_000, () => `the download had hardly begun: ${line}`);
  return Math.max(0, rounded(lastByteAt - sentAt));
}

export const rounded = (ms: number) => Math.round(ms * 10) / 10;
