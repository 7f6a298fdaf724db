import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { packageOf } from './command.ts';

const capNetAdmin = 12n;
const programs = [
  'ip',
  'wg',
  'ipset',
  'conntrack',
  'iptables-save',
  'iptables-restore',
  'ip6tables-save',
  'ip6tables-restore',
];

/** What keeps this machine from being a node, each with what to do about it; empty when nothing does. */
export async function missingPrerequisites(): Promise<readonly string[]> {
  if (process.platform !== 'linux') return [`a node needs Linux; this is ${process.platform}`];
  const absent = programs.filter((program) => Bun.which(program) === null);
  const needsGo = !existsSync('/sys/module/wireguard') && Bun.which('wireguard-go') === null;
  const packages = [...new Set(absent.map((program) => packageOf[program] ?? program))];
  return [
    ...((await hasCapability(capNetAdmin))
      ? []
      : ['the permission to change the network (CAP_NET_ADMIN) is missing: run it as root']),
    ...(absent.length === 0 ? [] : [`${absent.join(', ')} missing: apt-get install ${packages.join(' ')}`]),
    ...(needsGo
      ? [
          'the kernel has no WireGuard loaded and wireguard-go is not there: modprobe wireguard, or apt-get install wireguard-go',
        ]
      : []),
  ];
}

async function hasCapability(bit: bigint): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
}
