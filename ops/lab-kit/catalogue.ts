import type { Scenario } from './scenario.ts';
import { lab } from './scenarios/lab.ts';

/** Everything `ops/lab run` knows. */
export const scenarios: readonly Scenario[] = [lab];

/** Everything `ops/bench` knows. */
export const benchmarks: readonly Scenario[] = [];
