import type { Host } from '../host.ts';
import type { Master } from './product.ts';
import { devices } from './product.ts';

/**
 * The nearest thing to a reboot that a host without a boot loader has: every program is killed at once, what the kernel
 * held of ours is gone, and /run is empty. Disks and network cards stay.
 */
export async function reboot(node: Host): Promise<void> {
  await node.kill9(/./);
  await forgetKernelState(node);
}

/** Interfaces, rules, sets and connections of ours, and /run, as after the power was off. */
export async function forgetKernelState(node: Host): Promise<void> {
  for (const name of ['wg0', 'wg-mesh']) await node.run(['ip', 'link', 'del', name]);
  for (const restore of ['iptables-restore', 'ip6tables-restore']) await node.must([restore], { stdin: emptyTables });
  await node.must(['ipset', 'destroy']);
  await node.must(['conntrack', '-F']);
  await node.sysctl('net.ipv4.ip_forward', 0);
  await node.must([
    'find',
    '/run',
    '-mindepth',
    '1',
    '-maxdepth',
    '1',
    '!',
    '-name',
    '.lab',
    '-exec',
    'rm',
    '-rf',
    '{}',
    '+',
  ]);
}

/** What must be the same after a reboot: who is in, what the kernel holds, and what the master knows. */
export async function nodeState(master: Master): Promise<string> {
  const { node } = master;
  const peers = await node.must(['wg', 'show', 'wg0', 'allowed-ips']);
  const rules = (await node.must(['iptables-save']))
    .split('\n')
    .filter((line) => line.startsWith('-A'))
    .sort();
  const sets = (await node.must(['ipset', 'save'])).split('\n').map(withoutSeed).sort();
  const known = (await devices(master)).map(({ id, address, publicKey }) => `${id} ${address} ${publicKey}`).sort();
  return [peers.trim().split('\n').sort(), rules, sets, known].map((part) => part.join('\n')).join('\n--\n');
}

/** A set's hash seed is new each time it is made. */
const withoutSeed = (line: string) => line.replace(/ initval \S+/, '');

const emptyTables = ['filter', 'nat', 'mangle', 'raw'].map((table) => `*${table}\nCOMMIT\n`).join('');
