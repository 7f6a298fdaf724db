/** Answers of one check over time. Two misses in a row make it fail, two hits in a row make it well again. */
export type Steady = { isWell: boolean; against: number };

const enough = 2;

/** The first answer decides; after it, only what says otherwise twice in a row does. */
export function afterAnswer(before: Steady | undefined, isHit: boolean): Steady {
  if (before === undefined) return { isWell: isHit, against: 0 };
  if (before.isWell === isHit) return { isWell: isHit, against: 0 };
  const against = before.against + 1;
  return against >= enough ? { isWell: isHit, against: 0 } : { isWell: before.isWell, against };
}

/** Checks by name. What is not asked after any more is forgotten. */
export function newChecks() {
  const checks = new Map<string, Steady>();
  return {
    /** @returns whether the check counts as another than before. */
    note(name: string, isHit: boolean): boolean {
      const before = checks.get(name);
      const after = afterAnswer(before, isHit);
      checks.set(name, after);
      return before?.isWell !== after.isWell;
    },
    /** Undefined before the first answer. */
    isWell: (name: string): boolean | undefined => checks.get(name)?.isWell,
    keepOnly(names: Iterable<string>): void {
      const kept = new Set(names);
      for (const name of [...checks.keys()]) if (!kept.has(name)) checks.delete(name);
    },
  };
}
