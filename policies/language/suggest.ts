/**
 * Finds the name a person probably meant. The work is bounded for a whole document: ten thousand misspelt names against
 * ten thousand known ones would take minutes, so after enough comparisons it stops guessing.
 */
export class Suggester {
  #comparisonsLeft = 100_000;

  /** The closest candidate, or undefined when none is near enough to be a slip of the hand. */
  closest(written: string, ...candidates: readonly Iterable<string>[]): string | undefined {
    const wanted = written.toLowerCase();
    const reach = Math.max(1, Math.min(3, Math.floor(wanted.length / 3)));
    let best: string | undefined;
    let bestDistance = reach + 1;
    for (const candidate of chained(candidates)) {
      if (this.#comparisonsLeft <= 0) break;
      this.#comparisonsLeft -= 1;
      if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
      const distance = editDistance(wanted, candidate.toLowerCase());
      if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
    }
    return best;
  }
}

/** Insertions, deletions, replacements and swaps of neighbours between two short words. */
export function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return a === b ? 0 : 64;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, (beforeLast[j - 2] ?? 0) + 1);
      row.push(value);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

/** One after another, without a copy: there may be tens of thousands of names, asked about as often. */
function* chained(sources: readonly Iterable<string>[]): Generator<string> {
  for (const source of sources) yield* source;
}
