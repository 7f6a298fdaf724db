import { join } from 'node:path';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { type Path, relay } from '../relay.ts';
import { forward } from '../router.ts';
import { machineAtHome, machineInCafe, natRouter } from './office.ts';

export const clusterTopology = `
  home 203.0.113.2 (NAT) -- laptops ---------+              +-- 198.18.1.10 n1 -- .1 --+
                                             |              |                          |   lan 172.19.0.0/16
                                         internet ----------+-- 198.18.2.10 n2 -- .2 --+-- intranet .10
                                             |              |                          |-- wiki .20
  cafe 192.0.2.2 (NAT) -- more -- abroad ----+              +-- 198.18.3.10 n3 -- .3 --+-- archive 172.20.0.10
                              (may be late and lossy)                                       (172.20.0.0/16, no NAT)
`;

/** The service LAN that every node has a leg in, and who is there. A second subnet on it is reached without NAT. */
export const lan = {
  cidr: '172.19.0.0/16',
  device: 'lan0',
  intranet: '172.19.0.10',
  wiki: '172.19.0.20',
  plainCidr: '172.20.0.0/16',
  archive: '172.20.0.10',
} as const;

/** A machine that is a node, or becomes one. */
export type NodePlace = { name: string; host: Host; address: string; lanAddress: string; plainAddress: string };

export type ClusterWorld = {
  lab: Lab;
  /** Routes between the nodes' subnets and everybody else's; `to-n1` and so on are its interfaces. */
  internet: Host;
  /** The router on the way of those in the cafe. */
  abroad: Host;
  /** The switch of the service LAN: `to-n1` and so on are its ports. */
  lanSwitch: Host;
  nodes: readonly NodePlace[];
  intranet: Host;
  wiki: Host;
  archive: Host;
  home: Host;
  cafe: Host;
};

/** What the relay on the way of those in the cafe makes of it. */
export const poorPath: Path = { delayMs: 40, jitterMs: 10, loss: 0.01 };

/** Hosts and cables, with the services running. Nothing of ours is installed yet. */
export async function openClusterWorld(lab: Lab, { nodes = 3 } = {}): Promise<ClusterWorld> {
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`);
  const [internet, abroad, lanSwitch] = await lab.boot('internet', 'abroad', 'lan');
  const [intranet, wiki, archive] = await lab.boot('intranet', 'wiki', 'archive');
  const hosts = await lab.boot(...names);
  await Promise.all([forward(internet), forward(abroad)]);
  await lanSwitch.ip('link add lan0 type bridge', 'link set lan0 up');
  const places = await Promise.all(hosts.map((host, index) => place(lab, internet, lanSwitch, host, index + 1)));
  await Promise.all([
    service(lab, lanSwitch, intranet, lan.intranet),
    service(lab, lanSwitch, wiki, lan.wiki),
    service(lab, lanSwitch, archive, lan.archive),
    lab.link(
      { host: internet, name: 'to-abroad', address: '100.64.0.1/30' },
      { host: abroad, name: 'to-internet', address: '100.64.0.2/30' },
    ),
  ]);
  await abroad.ip('route add default via 100.64.0.1');
  await internet.ip('route add 192.0.2.0/24 via 100.64.0.2');
  const home = await natRouter(lab, internet, 'home', '203.0.113', '192.168.1.1/24');
  const cafe = await natRouter(lab, abroad, 'cafe', '192.0.2', '10.0.0.1/24');
  return { lab, internet, abroad, lanSwitch, nodes: places, intranet, wiki, archive, home, cafe };
}

async function place(lab: Lab, internet: Host, lanSwitch: Host, host: Host, number: number): Promise<NodePlace> {
  const address = `198.18.${number}.10`;
  const lanAddress = `172.19.0.${number}`;
  await lab.link(
    { host: internet, name: `to-${host.name}`, address: `198.18.${number}.1/24` },
    { host, name: 'eth0', address: `${address}/24` },
  );
  await host.ip(`route add default via 198.18.${number}.1`);
  await lab.link(
    { host: lanSwitch, name: `to-${host.name}`, bridge: 'lan0' },
    { host, name: lan.device, address: `${lanAddress}/16` },
  );
  const plainAddress = `172.20.0.${number}`;
  await host.ip(`addr add ${plainAddress}/16 dev ${lan.device}`);
  return { name: host.name, host, address, lanAddress, plainAddress };
}

/** Services answer only to their own subnet: they know no other route. */
async function service(lab: Lab, lanSwitch: Host, host: Host, address: string): Promise<void> {
  await lab.link(
    { host: lanSwitch, name: `to-${host.name}`, bridge: 'lan0' },
    { host, name: 'eth0', address: `${address}/16` },
  );
  const site = host.start('site', ['bun', join(import.meta.dir, '../programs/site.ts'), host.name]);
  await site.says(/listening/);
}

/** A machine behind the NAT at home, whose way to the nodes is good. */
export const machineNearby = (world: ClusterWorld, name: string) => machineAtHome(world.lab, world, name);

/** A machine behind the NAT of the cafe, whose way is the one that `makePoor` spoils. */
export const machineAbroad = (world: ClusterWorld, name: string) => machineInCafe(world.lab, world, name);

export const makePoor = ({ abroad }: ClusterWorld, path: Path = poorPath) =>
  relay(abroad, ['to-internet', 'to-cafe'], path);
