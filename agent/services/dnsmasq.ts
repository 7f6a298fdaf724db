import type { Cidr, DnsName, Ipv4 } from '#contract/network.ts';
import type { NameRecord } from '#policies/desired/names.ts';
import { type Daemon, serviceDirectory } from './daemon.ts';

/** What a node's resolver knows: names of its own, and whom it asks for all others. */
export type Resolver = {
  domain: DnsName;
  upstreams: readonly Ipv4[];
  names: readonly NameRecord[];
  /** Where it answers: the node's own address inside the tunnel, and the one that moves. */
  addresses: readonly Ipv4[];
  /** No name from elsewhere leads to an address of ours. */
  pool: Cidr;
};

export type DnsmasqPlace = {
  /** Where the files of all daemons are. */
  directory: string;
  /** Where it reads names from once it is `user`, who must be able to. */
  readable: string;
  user: string;
};

const program = '/usr/sbin/dnsmasq';

/**
 * dnsmasq, with all that it reads only once among its arguments, so that a change of those starts it anew; names and
 * upstreams are in files that it reads again when it is told to.
 */
export function dnsmasqDaemon(resolver: Resolver, place: DnsmasqPlace): Daemon {
  const { names, servers } = readableFiles(place.readable);
  const words = [
    // Nothing of the machine's own configuration counts.
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--bind-dynamic',
    ...resolver.addresses.map((address) => `--listen-address=${address}`),
    `--addn-hosts=${names}`,
    `--servers-file=${servers}`,
    '--local-ttl=30',
    '--bogus-priv',
    '--domain-needed',
    `--bogus-nxdomain=${resolver.pool}`,
    '--no-ident',
    '--cache-size=10000',
    '--dns-forward-max=1000',
    `--user=${place.user}`,
    '--group=nogroup',
    '--pid-file=',
    '--log-facility=-',
  ];
  const path = `${serviceDirectory(place.directory, 'dnsmasq')}/answers`;
  return {
    argv: [program, '--keep-in-foreground', ...words],
    // A copy of what it reads: when that changes, so does this, and it is told.
    config: { path, content: `${renderNames(resolver)}${renderServers(resolver)}` },
    check: () => [program, '--test', ...words],
    reload: 'SIGHUP',
  };
}

export const readableFiles = (directory: string) => ({ names: `${directory}/names`, servers: `${directory}/servers` });

export function renderNames({ names }: Pick<Resolver, 'names'>): string {
  return names.map(({ name, address }) => `${address} ${name}\n`).join('');
}

/** Whom to ask for what: nobody for names that are ours, wherever they lie, so that no question about them gets out. */
export function renderServers({ domain, names, upstreams }: Pick<Resolver, 'domain' | 'names' | 'upstreams'>): string {
  const outside = names.map(({ name }) => name).filter((name) => name !== domain && !name.endsWith(`.${domain}`));
  return [...[domain, ...outside].map((name) => `server=/${name}/`), ...upstreams.map((address) => `server=${address}`)]
    .map((line) => `${line}\n`)
    .join('');
}
