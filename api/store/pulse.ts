import type { Version } from '#contract/snapshot.ts';
import type { Store } from './open.ts';
import { feelPulse } from './settings.ts';

/** One write a second is enough to notice a full disk, however often strangers ask. */
const everyMilliseconds = 1_000;

export type Pulse = () => Promise<Version>;

/** Whether the database can be read and written, looked at anew at most once a second. It throws when it cannot. */
export function pulseOf(store: Store, now: () => Date): Pulse {
  let felt = { at: Number.NEGATIVE_INFINITY, version: { epoch: 0, revision: 0 } };
  return async () => {
    const at = now().getTime();
    if (Math.abs(at - felt.at) >= everyMilliseconds) {
      const version = feelPulse(store, now());
      await store.settled();
      felt = { at, version };
    }
    return felt.version;
  };
}
