/**
 * Access as geometry: a box holds the addresses, the ports and the time that a grant opens at one place. Boxes can be
 * subtracted, so that two policies are compared by what they open and not by how they are written.
 */
export type Interval = readonly [first: number, last: number];

export interface Box {
  /** `network` for addresses; else the name of something without an inside, such as one node or one front. */
  readonly place: string;
  readonly addresses: Interval;
  readonly ports: Interval;
  /** Milliseconds; open until the second, which is infinite for a grant without an end. */
  readonly time: Interval;
}

const sides = ['addresses', 'ports', 'time'] as const;

/** What is in `box` and in none of the others. */
export function subtract(box: Box, others: Iterable<Box>): Box[] {
  let left: Box[] = [box];
  for (const other of others) {
    if (left.length === 0) break;
    if (left.some((part) => meet(part, other))) left = left.flatMap((part) => minus(part, other));
  }
  return left;
}

export function meet(a: Box, b: Box): boolean {
  return a.place === b.place && sides.every((side) => a[side][0] <= b[side][1] && b[side][0] <= a[side][1]);
}

function minus(box: Box, other: Box): Box[] {
  if (!meet(box, other)) return [box];
  const parts: Box[] = [];
  let core = box;
  for (const side of sides) {
    const [first, last] = core[side];
    const [from, to] = other[side];
    if (first < from) parts.push({ ...core, [side]: [first, from - 1] });
    if (to < last) parts.push({ ...core, [side]: [to + 1, last] });
    core = { ...core, [side]: [Math.max(first, from), Math.min(last, to)] };
  }
  return parts;
}
