import { join } from 'node:path';
import * as v from 'valibot';
import { Asked } from '../asked.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import type { Probe, Sighting } from '../wire/packet.ts';
import type { Office } from './office.ts';

/**
 * Who can send packets and who sees them come in: hosts with a witness each. The node itself has none, since a witness
 * sees a packet before any rule does: that a packet reached the node shows in the node's answer.
 */
export class Party {
  readonly host: Host;
  /** The interface that leads to the node, and the node's address on that link, where links have any. */
  readonly device: string;
  readonly mac: string | undefined;
  /** Whether a program answers at its low UDP ports, where others say that nobody does. */
  readonly answersDatagrams: boolean;
  private readonly witness: Asked;

  constructor(
    host: Host,
    device: string,
    { mac, answersDatagrams = false }: { mac?: string; answersDatagrams?: boolean } = {},
  ) {
    this.host = host;
    this.device = device;
    this.mac = mac;
    this.answersDatagrams = answersDatagrams;
    this.witness = new Asked(host, ['bun', join(import.meta.dir, '../programs/witness.ts')]);
  }

  async send(probes: readonly Probe[]): Promise<void> {
    const { device, mac } = this;
    await this.witness.ask(v.number(), { send: probes.map((probe) => ({ probe, device, mac })) });
  }

  /** Everything that came in since the last time. */
  async seen(): Promise<readonly Sighting[]> {
    return this.witness.ask(v.array(Seen), { seen: true });
  }
}

const Seen = v.object({
  token: v.number(),
  form: v.picklist(['packet', 'answer', 'error', 'reset']),
  source: v.string(),
  destination: v.string(),
  port: v.number(),
  sequence: v.number(),
});

/** A subnet behind the node: one host that has every address in it. */
export type Site = { party: Party; cidr: string; device: keyof typeof ipv6.sites; nodeAddress: string };

/** A container whose port the node publishes at all of its addresses, as Docker does. */
export const container = { device: 'docker9', address: '172.31.255.2', nodeAddress: '172.31.255.1' } as const;
export const published = [
  { protocol: 'tcp', port: 5432 },
  { protocol: 'udp', port: 150 },
] as const;

/** Everything outside the tunnel, with witnesses. */
export type Ground = {
  node: Host;
  sites: readonly Site[];
  container: Party;
  outside: Party;
};

/** Where IPv6 leads, for packets that must not pass. The last of each is the node's own. */
export const ipv6 = {
  tunnel: 'fd00:5::',
  sites: { 'br-internal': 'fd00:19::', 'br-workshop': 'fd00:20::' },
  outside: 'fd00:99::',
} as const;

export async function openGround(lab: Lab, { node, intranet, workshop, internet }: Office): Promise<Ground> {
  const [box] = await lab.boot('container');
  await node.ip(
    `link add ${container.device} type bridge`,
    `addr add ${container.nodeAddress}/24 dev ${container.device}`,
  );
  await node.ip(`link set ${container.device} up`);
  await lab.link(
    { host: node, name: 'to-container', bridge: container.device },
    { host: box, name: 'eth0', address: `${container.address}/24` },
  );
  await box.ip(`route add default via ${container.nodeAddress}`);
  await publish(node);
  for (const host of [node, intranet, workshop, box, internet]) await tellEveryError(host);
  await node.must(['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.ip_forward=1']);
  const site = async (host: Host, name: 'br-internal' | 'br-workshop', cidr: string, nodeAddress: string) => {
    await host.ip(
      `route add local ${cidr} dev lo`,
      `route add ${nodeAddress}/32 dev eth0 scope link`,
      `route add default via ${nodeAddress}`,
    );
    await answerAll(host);
    await plugIpv6(node, name, host, 'eth0', ipv6.sites[name]);
    return {
      party: new Party(host, 'eth0', { mac: await macOf(node, name), answersDatagrams: true }),
      cidr,
      device: name,
      nodeAddress,
    };
  };
  const sites = [
    await site(intranet, 'br-internal', '172.19.0.0/16', '172.19.0.1'),
    await site(workshop, 'br-workshop', '172.20.0.0/16', '172.20.0.1'),
  ];
  await internet.ip('route add local 198.18.0.0/15 dev lo');
  await plugIpv6(node, 'eth0', internet, 'to-n1', ipv6.outside);
  return {
    node,
    sites,
    container: new Party(box, 'eth0', { mac: await macOf(node, container.device) }),
    outside: new Party(internet, 'to-n1', { mac: await macOf(node, 'eth0') }),
  };
}

/** ICMP errors are answers here, so none may be held back. */
export async function tellEveryError(host: Host): Promise<void> {
  await host.must(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0']);
}

/** Docker's rules for a published port: redirected at every address of the node, and let through to the container. */
async function publish(node: Host): Promise<void> {
  const nat = published.map(({ protocol, port }) => {
    const match = `-p ${protocol} -m ${protocol} --dport ${port}`;
    return `-A DOCKER ! -i ${container.device} ${match} -j DNAT --to-destination ${container.address}`;
  });
  const filter = published.map(
    ({ protocol, port }) =>
      `-A DOCKER -d ${container.address}/32 ! -i ${container.device} -o ${container.device} -p ${protocol} -m ${protocol} --dport ${port} -j ACCEPT`,
  );
  const text = [
    '*nat',
    ':DOCKER - [0:0]',
    '-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
    ...nat,
    'COMMIT',
    '*filter',
    ':DOCKER - [0:0]',
    ':DOCKER-USER - [0:0]',
    '-A FORWARD -j DOCKER-USER',
    `-A FORWARD -o ${container.device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A FORWARD -o ${container.device} -j DOCKER`,
    ...filter,
    'COMMIT',
  ];
  await node.must(['iptables-restore', '--noflush'], { stdin: `${text.join('\n')}\n` });
}

/** One program answers at every TCP port and every low UDP port; at the others the kernel says that nobody does. */
async function answerAll(host: Host): Promise<void> {
  const listener = host.start('echo', ['bun', join(import.meta.dir, '../programs/echo.ts'), `${echoPort}`]);
  await listener.says(/listening/);
  const redirect = `-j REDIRECT --to-ports ${echoPort}`;
  const text = [
    '*nat',
    `-A PREROUTING -p tcp ${redirect}`,
    `-A PREROUTING -p udp -m udp --dport 1:1023 ${redirect}`,
    'COMMIT',
  ];
  await host.must(['iptables-restore', '--noflush'], { stdin: `${text.join('\n')}\n` });
}

const echoPort = 7;

async function plugIpv6(node: Host, device: string, peer: Host, peerDevice: string, prefix: string): Promise<void> {
  await node.ip(`addr add ${prefix}1/64 dev ${device} nodad`);
  await peer.ip(`addr add ${prefix}a/64 dev ${peerDevice} nodad`, `route replace default via ${prefix}1`);
}

async function macOf(host: Host, device: string): Promise<string> {
  return (await host.must(['cat', `/sys/class/net/${device}/address`])).trim();
}
