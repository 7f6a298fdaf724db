import { describeStep } from './plan/describe.ts';
import { closedNode, desiredNode, planNode, type Step } from './plan/node.ts';
import { troubleAround } from './plan/surroundings.ts';
import { understand } from './plan/understanding.ts';
import { openSystem, selfOf } from './run.ts';
import { openCache } from './system/cache.ts';
import { runCommand } from './system/command.ts';
import { type AgentPaths, readConfig } from './system/config.ts';
import { observeSurroundings } from './system/surroundings.ts';

/** What would be done now, and what a person should know. */
export type ShownPlan = {
  /** Why nothing is let through. */
  closed?: string;
  trouble: readonly string[];
  steps: readonly (Step & { says: string })[];
};

/** Looks at this machine and at the cache, and changes nothing. */
export async function planOf(paths: AgentPaths): Promise<ShownPlan> {
  const config = await readConfig(paths);
  const { snapshot, closedBecause } = await openCache(paths, config.root).load();
  const self = await selfOf(paths, config);
  const meaning = snapshot && understand(snapshot);
  const desired = snapshot && meaning?.ok ? desiredNode(snapshot, meaning.world, self) : closedNode(self);
  const [{ node }, surroundings] = await Promise.all([
    openSystem(paths, config).system.observe(desired.tunnel?.forwarding ?? []),
    observeSurroundings(runCommand),
  ]);
  const steps = planNode(node, desired, self, Date.now());
  return {
    ...(closedBecause === undefined ? {} : { closed: closedBecause }),
    trouble: troubleAround(surroundings, config.interface),
    steps: steps.map((step) => ({ ...step, says: describeStep(step) })),
  };
}

/** The same for people, a line each. */
export function planLines({ closed, trouble, steps }: ShownPlan): readonly string[] {
  return [
    ...(closed === undefined ? [] : [`closed: ${closed}`]),
    ...trouble.map((one) => `trouble: ${one}`),
    ...(steps.length === 0 ? ['nothing to do'] : steps.map(({ says }) => says)),
  ];
}
