import { type Completed, complete } from './command.ts';

/** The lab cannot run here, or not as this user. The message says exactly what is missing. */
export class NotPermitted extends Error {
  override readonly name = 'NotPermitted';
  readonly code = 'not-permitted';
}

/** A program that hosts need, and the Debian package it comes in. */
const programs = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  sysctl: 'procps',
  pgrep: 'procps',
  iptables: 'iptables',
  ip6tables: 'iptables',
  ipset: 'ipset',
  conntrack: 'conntrack',
  wg: 'wireguard-tools',
  'wireguard-go': 'wireguard-go',
  curl: 'curl',
  openssl: 'openssl',
  nft: 'nftables',
  ping: 'iputils-ping',
  node: 'nodejs',
  systemctl: 'systemd',
} as const;

const namespaces = ['--net', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child'];
const asRoot = ['unshare', '--user', '--map-root-user'];
const tun = ['sh', '-c', 'exec 3<>/dev/net/tun && ip link add lab0 type veth peer name lab1'];

/** What becomes of this process: it may go on, or has been run again as root of a user namespace, with this exit code. */
export type Standing = { kind: 'permitted' } | { kind: 'ran-again'; exitCode: number };

/**
 * Makes sure that hosts can be made, as root or as root of a new user namespace.
 *
 * @throws NotPermitted with the permission or program that is missing.
 */
export async function obtainPermission(again: readonly string[]): Promise<Standing> {
  const searchPath = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  const missing = Object.entries(programs).filter(([name]) => Bun.which(name, { PATH: searchPath }) === null);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
    const names = missing.map(([name]) => name).join(', ');
    throw new NotPermitted(`The lab needs ${names}. Install: apt-get install ${packages}`);
  }

  if (process.getuid?.() === 0) {
    await probe(['unshare', ...namespaces], 'root here may not make namespaces (in a container: CAP_SYS_ADMIN)');
    await probe(['unshare', ...namespaces, ...tun], tunRefused);
    return { kind: 'permitted' };
  }
  await probe(
    asRoot,
    'this user may not make user namespaces. Run as root, or let an administrator allow them ' +
      '(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)',
  );
  await probe([...asRoot, ...namespaces], 'a user namespace may not make the others');
  await probe([...asRoot, ...namespaces, ...tun], tunRefused);
  return { kind: 'ran-again', exitCode: await runAgain(again) };
}

const tunRefused =
  '/dev/net/tun cannot be opened for reading and writing, which WireGuard in user space needs ' +
  '(in a container: --device /dev/net/tun)';

async function probe(argv: readonly string[], problem: string): Promise<void> {
  const program = argv.at(-2) === '-c' ? argv : [...argv, 'true'];
  const { exitCode, stderr }: Completed = await complete(program, { timeoutMs: 10_000 });
  if (exitCode !== 0) throw new NotPermitted(`${problem}.\n  ${program.join(' ')}\n  ${stderr.trim()}`);
}

async function runAgain(argv: readonly string[]): Promise<number> {
  const child = Bun.spawn([...asRoot, 'setpriv', '--pdeathsig', 'KILL', ...argv], {
    stdio: ['inherit', 'inherit', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return child.exited;
}
