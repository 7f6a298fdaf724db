import * as v from 'valibot';
import { type Cidr, cidrsOverlap, Ipv4 } from '#contract/network.ts';
import { choosePrivate } from '#contract/private-ranges.ts';

const poolPrefix = 18;

/**
 * A random /18 of 10/8 that overlaps neither the routes of this machine nor what other software takes by default.
 *
 * @param random a number in [0, 1)
 * @throws RangeError when nothing is free.
 */
export function choosePool(routes: readonly Cidr[], random: () => number): Cidr {
  const pool = choosePrivate(poolPrefix, routes, random);
  if (pool === undefined) throw new RangeError('Every /18 of 10.0.0.0/8 is routed already. Choose one with --pool.');
  return pool;
}

/** The same for the /24 that joins the nodes. @throws RangeError when nothing is free. */
export function chooseMesh(taken: readonly Cidr[], random: () => number): Cidr {
  const mesh = choosePrivate(24, taken, random);
  if (mesh === undefined)
    throw new RangeError('Every /24 of 10.0.0.0/8 is routed already: there is none for the mesh.');
  return mesh;
}

/** The first resolvers (IPv4) of a resolv.conf(5) that are not on the machine itself: four at most. */
export function upstreamsIn(text: string): Ipv4[] {
  const named = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address = '']) => address);
  return [...new Set(named)].filter((address) => v.is(Ipv4, address) && !address.startsWith('127.')).slice(0, 4);
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
