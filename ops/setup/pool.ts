import { type Cidr, cidrsOverlap, numberToIpv4 } from '#contract/network.ts';

/**
 * Parts of 10/8 that other software takes by default: Docker Swarm, Kubernetes (services, Flannel, k3s), Podman, and
 * the home routers that use the lowest and highest.
 */
const takenElsewhere: readonly Cidr[] = [
  '10.0.0.0/15',
  '10.10.0.0/16',
  '10.42.0.0/15',
  '10.88.0.0/15',
  '10.96.0.0/12',
  '10.244.0.0/16',
  '10.255.0.0/16',
];

const poolPrefix = 18;

/**
 * A random /18 of 10/8 that overlaps neither the routes of this machine nor what other software takes by default.
 * Random, because a company's employees sit in networks that were numbered by the same habits as its own.
 *
 * @param random a number in [0, 1)
 * @throws RangeError when nothing is free.
 */
export function choosePool(routes: readonly Cidr[], random: () => number): Cidr {
  const size = 2 ** (32 - poolPrefix);
  const ten = 10 * 2 ** 24;
  const free = Array.from(
    { length: 2 ** 24 / size },
    (_, index) => `${numberToIpv4(ten + index * size)}/${poolPrefix}`,
  ).filter((pool) => ![...routes, ...takenElsewhere].some((taken) => cidrsOverlap(pool, taken)));
  const pool = free[Math.floor(random() * free.length)];
  if (pool === undefined) throw new RangeError('Every /18 of 10.0.0.0/8 is routed already. Choose one with --pool.');
  return pool;
}

/** The subnets in `ip -j -4 route show table all`; the default route is none of them. */
export function routedSubnets(routes: readonly { dst?: string }[]): Cidr[] {
  return routes
    .map(({ dst = 'default' }) => (dst.includes('/') ? dst : `${dst}/32`))
    .filter((dst) => /^\d+\.\d+\.\d+\.\d+\/[1-9]\d?$/.test(dst));
}

const privateRanges: readonly Cidr[] = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
];

/** Whether an IPv4 address means something only inside its own network. */
export function isPrivate(address: string): boolean {
  return privateRanges.some((range) => cidrsOverlap(range, `${address}/32`));
}
