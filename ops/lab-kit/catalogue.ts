import type { Scenario } from './scenario.ts';

/** Everything `ops/lab run` knows. */
export const scenarios: readonly Scenario[] = [];

/** Everything `ops/bench` knows. */
export const benchmarks: readonly Scenario[] = [];
