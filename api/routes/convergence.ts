import type { Convergence } from '#contract/admin.ts';
import type { Master } from '../master.ts';
import { whoApplied } from '../store/nodes.ts';

/** Waits, not for long, until every node has the revision in force, and says which have. */
export async function converge(master: Master, revision: number): Promise<Convergence> {
  const { fleet, store, convergenceMilliseconds } = master;
  await store.settled();
  let applied = whoApplied(store, revision);
  const haveAll = () => {
    applied = whoApplied(store, revision);
    return applied.pending.length === 0;
  };
  if (applied.pending.length > 0) await fleet.until(haveAll, convergenceMilliseconds);
  return { revision, ...applied };
}
