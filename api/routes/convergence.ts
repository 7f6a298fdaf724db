import type { Convergence } from '#contract/admin.ts';
import type { Master } from '../master.ts';
import { whoApplied } from '../store/nodes.ts';

/** Waits, not for long, until every node has the revision in force, and says which have. */
export async function converge(master: Master, revision: number): Promise<Convergence> {
  const { fleet, store, convergenceMilliseconds } = master;
  await store.settled();
  await fleet.until(() => whoApplied(store, revision).pending.length === 0, convergenceMilliseconds);
  return { revision, ...whoApplied(store, revision) };
}
