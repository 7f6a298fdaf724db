import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Host } from './host.ts';
import { keptFolders } from './paths.ts';

/** One end of a link: the host, the interface's name there, and its address, or the bridge it belongs to. */
export type LinkEnd = { host: Host; name: string; address?: string; bridge?: string; mtu?: number };

/** Hosts and what lies between them. Everything in it lives as long as this process, and not longer. */
export class Lab {
  readonly hosts = new Map<string, Host>();

  /** Where the programs' outputs go. */
  readonly logs: string;

  private constructor(logs: string) {
    this.logs = logs;
  }

  static create(): Lab {
    return new Lab(mkdtempSync(join(tmpdir(), 'postern-lab-')));
  }

  /** Boots hosts, all at the same time. */
  async boot<Names extends readonly string[]>(...names: Names): Promise<{ [Index in keyof Names]: Host }> {
    const hosts = await Promise.all(names.map((name) => Host.boot(name, this.logs, keptFolders())));
    for (const host of hosts) this.hosts.set(host.name, host);
    return hosts as { [Index in keyof Names]: Host };
  }

  /** Lays a cable. Both ends come up at once; neither ever lies in the machine's own network. */
  async link(a: LinkEnd, b: LinkEnd): Promise<void> {
    await a.host.cable(a.name, b.host, b.name);
    await Promise.all([plug(a), plug(b)]);
  }

  /** Kills every host. With `keepLogs` the programs' outputs stay to be read. */
  async close({ keepLogs = false } = {}): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.halt()));
    this.hosts.clear();
    if (!keepLogs) rmSync(this.logs, { recursive: true, force: true });
  }
}

async function plug({ host, name, address, bridge, mtu }: LinkEnd): Promise<void> {
  await host.ip(
    ...(mtu === undefined ? [] : [`link set ${name} mtu ${mtu}`]),
    ...(bridge === undefined ? [] : [`link set ${name} master ${bridge}`]),
    ...(address === undefined ? [] : [`addr add ${address} dev ${name}`]),
    `link set ${name} up`,
  );
}
