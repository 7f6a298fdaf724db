import { lookup } from 'node:dns/promises';
import { access, constants, readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Endpoint } from '#contract/network.ts';
import { parseWgDump } from '#contract/wg.ts';
import type { ObservedTunnel, PeerStep, RouteStep } from '../tunnel-plan.ts';
import { CommandError, type RunCommand } from './command.ts';
import { parseLink, parseRoutes } from './ip-json.ts';
import { followNetwork } from './ip-monitor.ts';
import { openCounters } from './net-dev.ts';
import type { Lack, LinkSettings, Platform } from './platform.ts';

const patientTries = 10;
const userspaceSocket = (name: string) => `/var/run/wireguard/${name}.sock`;

/** Linux, with WireGuard in the kernel or as wireguard-go, by wg(8) and ip(8). */
export function linux(run: RunCommand, searchPath = process.env.PATH ?? ''): Platform {
  const has = async (program: string) => {
    const folders = [...searchPath.split(delimiter), '/usr/sbin', '/sbin'].filter((folder) => folder !== '');
    const found = await Promise.all(folders.map((folder) => isReachable(join(folder, program), constants.X_OK)));
    return found.includes(true);
  };
  const showLink = async (name: string) => parseLink(await run(['ip', '-json', '-4', 'address', 'show']), name);

  const create = async (name: string) => {
    try {
      await run(['ip', 'link', 'add', 'dev', name, 'type', 'wireguard']);
      return;
    } catch (error) {
      // A kernel without WireGuard says "Unknown device type", a container without the module "Operation not supported".
      if (!(error instanceof CommandError) || !(await has('wireguard-go'))) throw error;
    }
    await run(['wireguard-go', name], { ownSession: true });
  };

  const lower = async (name: string) => {
    if ((await showLink(name)) !== undefined) await run(['ip', 'link', 'delete', 'dev', name]);
    await rm(userspaceSocket(name), { force: true });
  };

  return {
    name: 'linux',

    async findLacks() {
      const lacks: Lack[] = [];
      if (process.getuid?.() !== 0) {
        lacks.push({ what: 'root, to make a network interface', next: 'Run it as root, with sudo.' });
      }
      if (!(await has('ip'))) lacks.push(lack('ip (iproute2)', 'iproute2'));
      if (!(await has('wg'))) lacks.push(lack('wg (wireguard-tools)', 'wireguard-tools'));
      const userspace = await has('wireguard-go');
      if (!userspace && !(await kernelHasWireguard())) {
        lacks.push(lack('WireGuard: neither the kernel nor wireguard-go', 'wireguard-go'));
      } else if (userspace && !(await kernelHasWireguard()) && !(await isReachable('/dev/net/tun', constants.F_OK))) {
        lacks.push({
          what: '/dev/net/tun, which wireguard-go needs',
          next: 'In a container, start it with --device /dev/net/tun and --cap-add NET_ADMIN.',
        });
      }
      return lacks;
    },

    async raise({ name, privateKeyFile, address, mtu }: LinkSettings) {
      // What a run that was cut off left may still be starting, or may be dead: then it is removed half-way.
      await patiently(async (triesLeft) => {
        if (triesLeft === patientTries / 2) await lower(name);
        if ((await showLink(name)) === undefined) await create(name);
        await run(['wg', 'set', name, 'private-key', privateKeyFile]);
      });
      const before = await showLink(name);
      const changes = [
        ...(before?.addresses.includes(address) ? [] : [`address add ${address}/32 dev ${name}`]),
        ...(before?.addresses ?? []).filter((old) => old !== address).map((old) => `address del ${old}/32 dev ${name}`),
        ...(before?.isUp && before.mtu === mtu ? [] : [`link set dev ${name} mtu ${mtu} up`]),
      ];
      if (changes.length > 0) await run(['ip', '-batch', '-'], { stdin: `${changes.join('\n')}\n` });
    },

    async observe(name): Promise<ObservedTunnel | undefined> {
      const link = await showLink(name);
      if (link === undefined) return undefined;
      const [dump, routes] = await Promise.all([
        run(['wg', 'show', name, 'dump']),
        run(['ip', '-json', '-4', 'route', 'show', 'dev', name]),
      ]);
      const { publicKey, peers } = parseWgDump(dump);
      // `show dev` leaves the device out of each line, since it is the same in all.
      const { elsewhere } = parseRoutes(routes, name);
      return { ...link, publicKey, peers, routes: elsewhere.map(({ cidr }) => cidr) };
    },

    async localRoutes(name) {
      return parseRoutes(await run(['ip', '-json', '-4', 'route', 'show']), name).elsewhere;
    },

    async changePeers(name, steps) {
      if (steps.length === 0) return;
      const args = await Promise.all(steps.map(peerArguments));
      await run(['wg', 'set', name, ...args.flat()]);
    },

    async changeRoutes(name, steps) {
      if (steps.length === 0) return;
      const lines = steps.map((step) => routeLine(step, name));
      await run(['ip', '-force', '-batch', '-'], { stdin: `${lines.join('\n')}\n` });
    },

    lower,

    counters: openCounters(),

    watchNetwork(onChange, signal) {
      followNetwork(onChange, signal);
      return true;
    },

    async identifyProcess(pid) {
      try {
        const [boot, stat] = await Promise.all([
          readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
          readFile(`/proc/${pid}/stat`, 'utf8'),
        ]);
        // The name in parentheses may hold spaces; the state and the start time are the 1st and the 20th field after it.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return fields[0] === 'Z' ? undefined : `${boot.trim()} ${fields[19]}`;
      } catch {
        return undefined;
      }
    },
  };
}

async function peerArguments(step: PeerStep): Promise<readonly string[]> {
  if (step.kind === 'remove-peer') return ['peer', step.publicKey, 'remove'];
  return [
    'peer',
    step.publicKey,
    ...(step.endpoint === undefined ? [] : ['endpoint', await resolveEndpoint(step.endpoint)]),
    'persistent-keepalive',
    String(step.persistentKeepaliveSeconds),
    'allowed-ips',
    step.allowedIps.join(','),
  ];
}

const lookupLimitMs = 1_000;
const lookedUp = new Map<string, string>();

/**
 * Looked up here and not by wg(8), which repeats a failed look-up for minutes. When no resolver answers, as may be just
 * when nodes are lost, the address of the last time serves.
 */
async function resolveEndpoint(endpoint: Endpoint): Promise<string> {
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon);
  if (host.startsWith('[') || isIP(host) !== 0) return endpoint;
  const asked = lookup(host).then(({ address, family }) => (family === 6 ? `[${address}]` : address));
  const known = lookedUp.get(host);
  asked.then((address) => lookedUp.set(host, address)).catch(() => undefined);
  const address =
    known === undefined
      ? await asked
      : await Promise.race([asked, pause(lookupLimitMs, known, { ref: false })]).catch(() => known);
  return `${address}${endpoint.slice(colon)}`;
}

function routeLine({ kind, cidr }: RouteStep, name: string): string {
  // `add`, not `replace`: a route of the same subnet that somebody else made is theirs.
  return kind === 'add-route' ? `route add ${cidr} dev ${name}` : `route del ${cidr} dev ${name}`;
}

function lack(what: string, debianPackage: string): Lack {
  return {
    what,
    next: `Install it: apt-get install --no-install-recommends ${debianPackage} (Debian, Ubuntu), or the package of that name in your system.`,
  };
}

async function kernelHasWireguard(): Promise<boolean> {
  if (await isReachable('/sys/module/wireguard', constants.F_OK)) return true;
  try {
    const release = (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim();
    const folder = `/lib/modules/${release}`;
    const lists = await Promise.all(
      ['modules.builtin', 'modules.dep'].map((file) => readFile(join(folder, file), 'utf8').catch(() => '')),
    );
    return lists.some((list) => /\/wireguard\.ko/.test(list));
  } catch {
    return false;
  }
}

async function patiently(attempt: (triesLeft: number) => Promise<unknown>): Promise<void> {
  for (let triesLeft = patientTries; ; triesLeft -= 1) {
    try {
      await attempt(triesLeft);
      return;
    } catch (error) {
      if (triesLeft === 0) throw error;
      await pause(100);
    }
  }
}

async function isReachable(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
