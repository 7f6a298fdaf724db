import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { forward, masquerade } from '../router.ts';

export const officeTopology = `
  laptop 192.168.1.50 -- home (NAT) -- 203.0.113.2 --+
                                                     |
                                                  internet -- 198.51.100.10 n1 -- br-internal 172.19.0.0/16 -- intranet .10
                                                     |                         \`- br-workshop 172.20.0.0/16 -- workshop .10
  desk   10.0.0.50    -- cafe (NAT) -- 192.0.2.2   --+
`;

export const addresses = {
  node: '198.51.100.10',
  intranet: '172.19.0.10',
  workshop: '172.20.0.10',
} as const;

/** A node on the public internet with two networks behind it, and people behind NAT routers. */
export type Office = { internet: Host; node: Host; intranet: Host; workshop: Host; home: Host; cafe: Host };

/** The services answer only to their own subnet: they know no other route. */
export async function openOffice(lab: Lab): Promise<Office> {
  const [internet, node, intranet, workshop] = await lab.boot('internet', 'n1', 'intranet', 'workshop');
  await forward(internet);
  await lab.link(
    { host: internet, name: 'to-n1', address: '198.51.100.1/24' },
    { host: node, name: 'eth0', address: `${addresses.node}/24` },
  );
  await node.ip('route add default via 198.51.100.1');
  await bridge(lab, node, 'internal', intranet, `${addresses.intranet}/16`, '172.19.0.1/16');
  await bridge(lab, node, 'workshop', workshop, `${addresses.workshop}/16`, '172.20.0.1/16');
  const home = await natRouter(lab, internet, 'home', '203.0.113', '192.168.1.1/24');
  const cafe = await natRouter(lab, internet, 'cafe', '192.0.2', '10.0.0.1/24');
  return { internet, node, intranet, workshop, home, cafe };
}

/** A person's machine at home: the first gets 192.168.1.50, the next .51 and so on. */
export async function machineAtHome(lab: Lab, { home }: Pick<Office, 'home'>, name: string): Promise<Host> {
  return machine(lab, home, name, '192.168.1');
}

export async function machineInCafe(lab: Lab, { cafe }: Pick<Office, 'cafe'>, name: string): Promise<Host> {
  return machine(lab, cafe, name, '10.0.0');
}

/** A bridge of a node with a service on it. */
export async function bridge(lab: Lab, node: Host, name: string, site: Host, address: string, nodeAddress: string) {
  await node.ip(`link add br-${name} type bridge`, `addr add ${nodeAddress} dev br-${name}`, `link set br-${name} up`);
  await lab.link({ host: node, name: `to-${site.name}`, bridge: `br-${name}` }, { host: site, name: 'eth0', address });
}

export async function natRouter(
  lab: Lab,
  internet: Host,
  name: string,
  outside: string,
  inside: string,
): Promise<Host> {
  const [router] = await lab.boot(name);
  await lab.link(
    { host: internet, name: `to-${name}`, address: `${outside}.1/24` },
    { host: router, name: 'wan0', address: `${outside}.2/24` },
  );
  await router.ip(`route add default via ${outside}.1`, 'link add lan0 type bridge', `addr add ${inside} dev lan0`);
  await router.ip('link set lan0 up');
  await masquerade(router, 'wan0');
  return router;
}

async function machine(lab: Lab, router: Host, name: string, subnet: string): Promise<Host> {
  const taken = [...lab.hosts.values()].filter((host) => machines.get(host) === router).length;
  const [host] = await lab.boot(name);
  machines.set(host, router);
  await lab.link(
    { host: router, name: `to-${name}`, bridge: 'lan0' },
    { host, name: 'eth0', address: `${subnet}.${50 + taken}/24` },
  );
  await host.ip(`route add default via ${subnet}.1`);
  return host;
}

/** Which router each machine is behind. */
const machines = new WeakMap<Host, Host>();
