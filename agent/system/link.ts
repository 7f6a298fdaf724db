import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import * as v from 'valibot';
import type { Cidr, InterfaceName } from '#contract/network.ts';
import { loopback } from '../plan/interface.ts';
import type { RouteStep } from '../plan/mesh.ts';
import type { RunCommand } from './command.ts';
import { readFileIfPresent } from './files.ts';

export type ObservedLink = { mtu: number; isUp: boolean; addresses: readonly string[] };

const IpOutput = v.array(
  v.object({
    mtu: v.number(),
    flags: v.array(v.string()),
    addr_info: v.array(
      v.object({
        family: v.string(),
        local: v.string(),
        prefixlen: v.number(),
        label: v.optional(v.string()),
      }),
    ),
  }),
);

/** The link's own properties; it must exist. */
export async function observeLink(run: RunCommand, name: InterfaceName): Promise<ObservedLink> {
  const [link] = v.parse(IpOutput, JSON.parse(await run(['ip', '-json', 'address', 'show', 'dev', name])));
  if (link === undefined) throw new SyntaxError(`ip address show dev ${name}: no interface in the answer`);
  return {
    mtu: link.mtu,
    isUp: link.flags.includes('UP'),
    addresses: link.addr_info.filter(({ family }) => family === 'inet').map(written),
  };
}

const written = ({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`;

/** By this name the addresses on the loopback interface are told that are ours. */
const ownLabel = `${loopback}:postern`;

/** Our addresses on the loopback interface. */
export async function observeHeld(run: RunCommand): Promise<readonly string[]> {
  const [link] = v.parse(IpOutput, JSON.parse(await run(['ip', '-json', 'address', 'show', 'dev', loopback])));
  return link?.addr_info.filter(({ label }) => label === ownLabel).map(written) ?? [];
}

/** Words of ip(8) for an address that is held there: nothing that the machine sends by itself carries it. */
export const heldWords = ['scope', 'host', 'label', ownLabel] as const;

const RouteOutput = v.array(v.object({ dst: v.string(), protocol: v.optional(v.string()) }));

/** Routes by an interface, without those that the kernel made for its addresses. */
export async function observeRoutes(run: RunCommand, name: InterfaceName): Promise<readonly Cidr[]> {
  const routes = v.parse(RouteOutput, JSON.parse(await run(['ip', '-4', '-json', 'route', 'show', 'dev', name])));
  return routes
    .filter(({ protocol }) => protocol !== 'kernel')
    .map(({ dst }) => (dst.includes('/') ? dst : `${dst}/32`));
}

/** Behind every route that the machine has by itself: a network that it is in is never taken from it. */
const routeMetric = '1000000';

export async function applyRouteStep(run: RunCommand, { kind, on, cidr }: RouteStep): Promise<void> {
  if (kind === 'remove-route') await run(['ip', 'route', 'delete', cidr, 'dev', on]);
  else await run(['ip', 'route', 'replace', cidr, 'dev', on, 'metric', routeMetric]);
}

const forwardingPath = (device: InterfaceName) => `/proc/sys/net/ipv4/conf/${device}/forwarding`;

/** Whether packets that come in by a device are forwarded; undefined when there is no such device. */
export async function readForwarding(device: InterfaceName): Promise<boolean | undefined> {
  try {
    return (await readFile(forwardingPath(device), 'utf8')).trim() !== '0';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The same at once, for who looks many times a second. */
export function forwardingNow(device: InterfaceName): boolean | undefined {
  try {
    return readFileSync(forwardingPath(device), 'utf8').trim() !== '0';
  } catch {
    return undefined;
  }
}

export async function writeForwarding(device: InterfaceName, enabled: boolean): Promise<void> {
  await writeFile(forwardingPath(device), enabled ? '1' : '0');
}

const picksUpFlowsPath = '/proc/sys/net/netfilter/nf_conntrack_tcp_loose';

/** Whether TCP in midstream counts as a new flow; undefined where the kernel tracks no flows yet. */
export async function readPicksUpFlows(): Promise<boolean | undefined> {
  const text = await readFileIfPresent(picksUpFlowsPath);
  return text === undefined ? undefined : text.trim() !== '0';
}

export async function writePicksUpFlows(enabled: boolean): Promise<void> {
  await writeFile(picksUpFlowsPath, enabled ? '1' : '0');
}

/** Whether an address is on this machine now, so that a socket can be bound to it. */
export function hasAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address));
}
