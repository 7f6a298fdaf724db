import type { ProbeAnswer } from '#contract/probe.ts';

/** The other nodes that cannot be heard (`n2`), and the networks that those who can do not reach (`n2 internal`). */
export function unfitOf(
  others: Iterable<string>,
  heard: readonly Pick<ProbeAnswer, 'node' | 'unreachable'>[],
): ReadonlySet<string> {
  const names = new Set(heard.map(({ node }) => node));
  return new Set([
    ...[...others].filter((name) => !names.has(name)),
    ...heard.flatMap(({ node, unreachable = [] }) => unreachable.map((network) => `${node} ${network}`)),
  ]);
}

/** Tells of another set once it has been the same for `afterMs`. */
export function settled(
  afterMs: number,
  tell: (set: ReadonlySet<string>) => void,
): { look(set: ReadonlySet<string>, now: number): void } {
  let told = '';
  let seen = '';
  let since = 0;
  return {
    look(set, now) {
      const next = [...set].sort().join();
      if (next !== seen) [seen, since] = [next, now];
      if (seen === told || now - since < afterMs) return;
      told = seen;
      tell(set);
    },
  };
}
