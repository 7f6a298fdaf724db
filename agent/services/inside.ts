import { readdir, rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { certificateNames } from '#policies/desired/certificate-names.ts';
import { desiredNames } from '#policies/desired/names.ts';
import { desiredSites, type Site } from '#policies/desired/sites.ts';
import { understand } from '../plan/understanding.ts';
import { readFileIfPresent } from '../system/files.ts';
import type { CertificateKeeper } from './certificate.ts';
import { serviceDirectory } from './daemon.ts';
import { dnsmasqDaemon, type Resolver, readableFiles, renderNames, renderServers } from './dnsmasq.ts';
import { nginxDaemon, pairPrefix } from './nginx.ts';
import { hasManyUsers, readableDirectory, writeReadable } from './readable.ts';
import type { Supervisor } from './supervise.ts';

/** What this node offers to those inside the tunnel: answers to names, and fronts of services. */
export interface Inside {
  aimFor(snapshot: Snapshot | undefined): void;
  /** There is another certificate. */
  certified(): void;
  problems(): readonly string[];
  stop(): void;
}

export type InsideOptions = {
  supervisor: Supervisor;
  /** Where the files of all daemons are. */
  directory: string;
  node: string;
  certificate: CertificateKeeper;
  log: (line: string) => void;
};

/** Addresses come to be without a word. */
const lookEveryMs = 250;

export function openInside({ supervisor, directory, node, certificate, log }: InsideOptions): Inside {
  const readable = readableDirectory(directory);
  const isDivided = hasManyUsers();
  let sites: readonly Site[] = [];
  let domain: string | undefined;
  /** Addresses of fronts that nginx can listen at, since they were on this machine once. */
  let held: ReadonlySet<Ipv4> = new Set();
  let writing: Promise<unknown> = Promise.resolve();

  const tell = (error: unknown) => log(error instanceof Error ? error.message : String(error));

  const serve = () => {
    const here = sites.filter(({ frontAddress }) => held.has(frontAddress));
    if (here.length === 0) return supervisor.set('nginx', undefined);
    const user = isDivided ? 'www-data' : 'root';
    const daemon = nginxDaemon(here, certificate.current(), { directory, user });
    supervisor.set('nginx', daemon);
    removeOldPairs(directory, daemon.beside?.map(({ path }) => path) ?? []).catch(tell);
  };

  const look = () => {
    const now = ownAddresses();
    const next = new Set(
      sites.map(({ frontAddress }) => frontAddress).filter((address) => now.has(address) || held.has(address)),
    );
    if ([...next].join() === [...held].join()) return;
    held = next;
    serve();
  };

  const resolve = (resolver: Resolver | undefined) => {
    writing = writing
      .then(async () => {
        if (resolver === undefined) return supervisor.set('dnsmasq', undefined);
        const files = readableFiles(readable);
        await writeReadable(files.names, renderNames(resolver));
        await writeReadable(files.servers, renderServers(resolver));
        const user = isDivided ? 'nobody' : 'root';
        supervisor.set('dnsmasq', dnsmasqDaemon(resolver, { directory, readable, user }));
      })
      .catch(tell);
  };

  const looking = setInterval(look, lookEveryMs);
  return {
    aimFor(snapshot) {
      const self = snapshot?.nodes.find(({ name }) => name === node);
      const meaning = snapshot && understand(snapshot);
      // A snapshot that cannot be put in force is not, and what was before stays.
      if (meaning?.ok === false) return;
      const world = self && meaning?.world;
      sites = world === undefined ? [] : desiredSites(world);
      domain = snapshot?.dns?.domain;
      const fronts = sites.map(({ dnsName }) => dnsName);
      certificate.aimFor(domain === undefined || fronts.length === 0 ? [] : certificateNames(node, fronts, domain));
      look();
      serve();
      if (snapshot?.dns === undefined || world === undefined || self === undefined) return resolve(undefined);
      const addresses = [self.tunnelAddress, ...(snapshot.vip === undefined ? [] : [snapshot.vip])];
      resolve({ ...snapshot.dns, names: desiredNames(snapshot, world), addresses, pool: snapshot.pool });
    },
    certified: serve,
    problems() {
      const names = new Set(certificate.current()?.names);
      return sites
        .filter(({ dnsName }) => !names.has(dnsName))
        .map(({ dnsName }) => {
          if (domain === undefined || !dnsName.endsWith(`.${domain}`))
            return `${dnsName} lies outside the internal domain, so it has no certificate and its front answers nobody`;
          const why = certificate.problem();
          return `${dnsName} has no certificate yet, so its front answers nobody${why === undefined ? '' : `: ${why}`}`;
        });
    },
    stop: () => clearInterval(looking),
  };
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []));
}

/** Certificates that neither the wanted configuration nor the one in force leads to. */
async function removeOldPairs(directory: string, wanted: readonly string[]): Promise<void> {
  const own = serviceDirectory(directory, 'nginx');
  const inForce = (await readFileIfPresent(`${own}/nginx.conf`)) ?? '';
  for (const name of await readdir(own).catch(() => []))
    if (name.startsWith(pairPrefix) && !inForce.includes(name) && !wanted.includes(`${own}/${name}`))
      await rm(`${own}/${name}`, { force: true });
}
