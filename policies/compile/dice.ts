/** Seeded chance, so that what a test met can be met again. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761 + 88_675_123) >>> 0;
    for (let i = 0; i < 4; i++) this.#next();
  }

  /** From 0 to `sides - 1`. */
  roll(sides: number): number {
    return this.#next() % sides;
  }

  /** True so many times in a hundred. */
  chance(percent: number): boolean {
    return this.roll(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.roll(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** Some of the items, at least `least`, in their order. */
  some<T>(items: readonly T[], least: number, most = items.length): T[] {
    const count = least + this.roll(Math.min(most, items.length) - least + 1);
    const left = [...items.keys()];
    while (left.length > count) left.splice(this.roll(left.length), 1);
    return left.flatMap((index) => items[index] ?? []);
  }

  /** Mulberry32: small, and good enough to make cases. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
}
