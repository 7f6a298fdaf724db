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

interface Shelf<T> {
  /** By their first address, rising. */
  readonly items: readonly T[];
  readonly boxes: readonly Box[];
  /** The last address of any box in the half of the shelf that a search at this place looks at. */
  readonly last: readonly number[];
}

/** Finds what meets a box among very many, by place and address. */
export class BoxIndex<T> {
  readonly #shelves = new Map<string, Shelf<T>>();

  constructor(items: readonly T[], boxOf: (item: T) => Box) {
    for (const [place, there] of Map.groupBy(items, (item) => boxOf(item).place)) {
      const sorted = there.toSorted((a, b) => boxOf(a).addresses[0] - boxOf(b).addresses[0]);
      const boxes = sorted.map(boxOf);
      const last: number[] = Array(boxes.length).fill(0);
      const fill = (from: number, to: number): number => {
        if (from >= to) return -1;
        const middle = (from + to) >>> 1;
        const here = boxes[middle]?.addresses[1] ?? -1;
        last[middle] = Math.max(here, fill(from, middle), fill(middle + 1, to));
        return last[middle];
      };
      fill(0, boxes.length);
      this.#shelves.set(place, { items: sorted, boxes, last });
    }
  }

  /** All that meet the box, each once. */
  meeting(box: Box): T[] {
    const shelf = this.#shelves.get(box.place);
    const found: T[] = [];
    if (shelf !== undefined) search(shelf, box, 0, shelf.items.length, found);
    return found;
  }
}

function search<T>(shelf: Shelf<T>, box: Box, from: number, to: number, found: T[]): void {
  if (from >= to) return;
  const middle = (from + to) >>> 1;
  const [first, last] = box.addresses;
  if ((shelf.last[middle] ?? -1) < first) return;
  search(shelf, box, from, middle, found);
  const here = shelf.boxes[middle];
  if (here === undefined || here.addresses[0] > last) return;
  if (meet(here, box)) found.push(shelf.items[middle] as T);
  search(shelf, box, middle + 1, to, found);
}
