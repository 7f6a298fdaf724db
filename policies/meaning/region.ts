import { type Cidr, cidrRange, numberToIpv4 } from '#contract/network.ts';
import type { Interval } from './boxes.ts';

/** A set of addresses as rising intervals that neither touch nor overlap. */
export type Region = readonly Interval[];

export function regionOf(cidrs: Iterable<Cidr>): Region {
  return merged(
    [...cidrs].map((cidr) => {
      const { first, last } = cidrRange(cidr);
      return [first, last];
    }),
  );
}

export function union(...regions: readonly Region[]): Region {
  return merged(regions.flat());
}

export function without(region: Region, holes: Region): Region {
  let left = [...region];
  for (const [from, to] of holes)
    left = left.flatMap(([first, last]): Interval[] => {
      if (to < first || last < from) return [[first, last]];
      return [...(first < from ? [[first, from - 1] as const] : []), ...(to < last ? [[to + 1, last] as const] : [])];
    });
  return left;
}

export function intersection(a: Region, b: Region): Region {
  return a.flatMap(([first, last]) =>
    b.flatMap(([from, to]): Interval[] => {
      const both = [Math.max(first, from), Math.min(last, to)] as const;
      return both[0] <= both[1] ? [both] : [];
    }),
  );
}

/** The fewest subnets that are exactly the region, rising. */
export function cidrsOf(region: Region): Cidr[] {
  const cidrs: Cidr[] = [];
  for (const [first, last] of region)
    for (let at = first; at <= last; ) {
      let size = 1;
      while (at % (size * 2) === 0 && at + size * 2 - 1 <= last && size < 2 ** 31) size *= 2;
      cidrs.push(`${numberToIpv4(at)}/${32 - Math.log2(size)}`);
      at += size;
    }
  return cidrs;
}

function merged(intervals: readonly Interval[]): Region {
  const rising = intervals.toSorted((a, b) => a[0] - b[0]);
  const all: [number, number][] = [];
  for (const [first, last] of rising) {
    const before = all.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else all.push([first, last]);
  }
  return all;
}
