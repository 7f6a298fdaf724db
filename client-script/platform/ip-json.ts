import * as v from 'valibot';
import { Cidr, Ipv4 } from '#contract/network.ts';
import type { LocalRoute } from '../tunnel.ts';

/** Reads what `ip -json` prints; see ip(8). Unknown fields are left aside. */

const Links = v.array(
  v.object({
    ifname: v.optional(v.string()),
    flags: v.optional(v.array(v.string()), []),
    mtu: v.optional(v.number(), 0),
    addr_info: v.optional(v.array(v.object({ local: v.optional(v.string()) })), []),
  }),
);

const Routes = v.array(
  v.object({
    dst: v.string(),
    dev: v.optional(v.string()),
    gateway: v.optional(v.string()),
    via: v.optional(v.unknown()),
    type: v.optional(v.string()),
  }),
);

export type Link = { isUp: boolean; mtu: number; addresses: readonly Ipv4[] };

/** One interface out of `ip -json -4 address show`, which leaves out, or prints as empty, what it does not show. */
export function parseLink(json: string, name: string): Link | undefined {
  const link = v.parse(Links, JSON.parse(json.trim() || '[]')).find(({ ifname }) => ifname === name);
  if (link === undefined) return undefined;
  return {
    isUp: link.flags.includes('UP'),
    mtu: link.mtu,
    addresses: link.addr_info.flatMap(({ local }) => (v.is(Ipv4, local) ? [local] : [])),
  };
}

/** `ip -json -4 route show`, sorted into those of our interface and all others. Default routes are left out. */
export function parseRoutes(json: string, name: string): { ours: readonly Cidr[]; elsewhere: readonly LocalRoute[] } {
  const routes = v.parse(Routes, JSON.parse(json.trim() || '[]')).flatMap((route) => {
    const cidr = route.dst.includes('/') ? route.dst : `${route.dst}/32`;
    return v.is(Cidr, cidr) ? [{ ...route, cidr }] : [];
  });
  return {
    ours: routes.filter(({ dev }) => dev === name).map(({ cidr }) => cidr),
    elsewhere: routes
      .filter(({ dev }) => dev !== name)
      .map(({ cidr, dev, gateway, via, type }) => ({
        cidr,
        device: dev ?? type ?? 'another table entry',
        isConnected: dev !== undefined && gateway === undefined && via === undefined,
      })),
  };
}
