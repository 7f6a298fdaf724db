import type { Host } from '../host.ts';
import { blackhole, setLink } from '../router.ts';
import type { Cluster } from './cluster.ts';
import { startNode } from './cluster.ts';
import type { NodePlace } from './cluster-world.ts';
import { forgetKernelState } from './reboot.ts';

/** What can go wrong with a node, and right again. `begin` is the moment; `end` is the node's return. */
export type Fault = {
  /** In a sentence: `the active node …`. */
  description: string;
  begin(victim: NodePlace): Promise<void>;
  end(victim: NodePlace): Promise<void>;
};

export const faultKinds = [
  'kill',
  'link_cut',
  'blackhole',
  'agent_dead',
  'keepalived_dead',
  'nginx_dead',
  'no_forward',
  'client_path_cut',
  'drain',
] as const;
export type FaultKind = (typeof faultKinds)[number];

const agentAndSupervisor = /agent\/main\.ts run|setup\/supervisor\.ts/;

/** The client's own addresses, as the internet sees them. */
const clientNetworks = ['203.0.113.0/24', '192.0.2.0/24'];

export function faultsOf(cluster: Pick<Cluster, 'world' | 'postern'>): Record<FaultKind, Fault> {
  const { internet, lanSwitch } = cluster.world;
  const port = ({ name }: NodePlace) => `to-${name}`;
  return {
    kill: {
      description: 'loses its power',
      async begin(victim) {
        await blackhole(internet, port(victim), true);
        await setLink(lanSwitch, port(victim), 'down');
        await killAll(victim.host);
      },
      async end(victim) {
        await forgetKernelState(victim.host);
        await setLink(lanSwitch, port(victim), 'up');
        await blackhole(internet, port(victim), false);
        await startNode(victim);
      },
    },
    link_cut: {
      description: 'loses its link to the internet',
      begin: (victim) => setLink(internet, port(victim), 'down'),
      end: (victim) => setLink(internet, port(victim), 'up'),
    },
    blackhole: {
      description: 'is no longer heard nor hears, and still has a carrier',
      begin: (victim) => blackhole(internet, port(victim), true),
      end: (victim) => blackhole(internet, port(victim), false),
    },
    agent_dead: {
      description: 'loses its agent, and whoever would start it again',
      async begin(victim) {
        while ((await victim.host.kill9(agentAndSupervisor)) > 0);
      },
      end: startNode,
    },
    keepalived_dead: {
      description: 'loses keepalived, which does not start again',
      begin: ({ host }) => killForGood(host, 'keepalived'),
      end: ({ host }) => giveBack(host, 'keepalived'),
    },
    nginx_dead: {
      description: 'loses its web server, which does not start again',
      begin: ({ host }) => killForGood(host, 'nginx'),
      end: ({ host }) => giveBack(host, 'nginx'),
    },
    no_forward: {
      description: 'answers, and no longer reaches the services behind it',
      begin: (victim) => lanSwitch.ip(`link set ${port(victim)} nomaster`),
      end: (victim) => lanSwitch.ip(`link set ${port(victim)} master lan0`),
    },
    client_path_cut: {
      description: 'is out of reach for devices alone; the nodes see each other',
      begin: ({ address }) => cutClientPath(internet, address, '-I'),
      end: ({ address }) => cutClientPath(internet, address, '-D'),
    },
    drain: {
      description: 'is told to give its devices away',
      begin: ({ name }) => cluster.postern('node', 'drain', name),
      end: ({ name }) => cluster.postern('node', 'undrain', name),
    },
  };
}

/** Faults that a node undoes by itself. */
export const repairedFaults: Record<string, Fault> = {
  forwarding_off: {
    description: 'has its forwarding turned off by somebody',
    begin: ({ host }) => host.sysctl('net.ipv4.ip_forward', 0),
    end: async () => undefined,
  },
  foreign_rule: {
    description: 'is given a rule, before its own, that drops what comes from devices',
    begin: async ({ host }) => void (await host.must(['iptables', ...foreignRule('-I')])),
    end: async ({ host }) => void (await host.run(['iptables', ...foreignRule('-D')])),
  },
};

const foreignRule = (change: string) => [change, 'FORWARD', '-i', 'wg0', '-j', 'DROP'];

/** Every program of the host, and what they start meanwhile. */
async function killAll(host: Host): Promise<void> {
  while ((await host.kill9(/./)) > 0);
}

/** Kills a program, and puts one that fails at once in its place. */
async function killForGood(host: Host, program: string): Promise<void> {
  await host.must(['mount', '--bind', '/bin/false', `/usr/sbin/${program}`]);
  await host.kill9(new RegExp(`^(\\S*/)?${program}\\b`));
}

async function giveBack(host: Host, program: string): Promise<void> {
  await host.must(['umount', `/usr/sbin/${program}`]);
}

/** Between devices and one node; `-I` begins and `-D` ends it. */
export async function cutClientPath(internet: Host, address: string, change: '-I' | '-D'): Promise<void> {
  const rules = clientNetworks.flatMap((network) => [
    ['-s', network, '-d', address],
    ['-s', address, '-d', network],
  ]);
  await Promise.all(
    rules.map((rule) => internet.must(['iptables', '-w', '-t', 'mangle', change, 'FORWARD', ...rule, '-j', 'DROP'])),
  );
}
