import type { Scenario } from './scenario.ts';
import { converge } from './scenarios/converge.ts';
import { enrol } from './scenarios/enrol.ts';
import { failover } from './scenarios/failover.ts';
import { firewall } from './scenarios/firewall.ts';
import { keys } from './scenarios/keys.ts';
import { kill } from './scenarios/kill.ts';
import { lab } from './scenarios/lab.ts';
import { lists } from './scenarios/lists.ts';
import { many } from './scenarios/many.ts';
import { masterDown } from './scenarios/master-down.ts';
import { memory } from './scenarios/memory.ts';
import { mitm } from './scenarios/mitm.ts';
import { onboarding } from './scenarios/onboarding.ts';
import { partition } from './scenarios/partition.ts';
import { policy } from './scenarios/policy.ts';
import { policySwap } from './scenarios/policy-swap.ts';
import { powerCycle } from './scenarios/power-cycle.ts';
import { restore } from './scenarios/restore.ts';
import { services } from './scenarios/services.ts';

/** Everything `ops/lab run` knows. */
export const scenarios: readonly Scenario[] = [
  lab,
  onboarding,
  mitm,
  policy,
  policySwap,
  powerCycle,
  keys,
  restore,
  services,
  failover,
  partition,
  masterDown,
  many,
];

/** Everything `ops/bench` knows. */
export const benchmarks: readonly Scenario[] = [memory, firewall, enrol, kill, lists, converge];
