import type { FailureLog } from '../http/errors.ts';
import { superseded } from '../store/lives.ts';
import type { Store } from '../store/open.ts';
import { endGrants } from '../store/policy-changes.ts';

/** Looking costs one short read: the ends of grants are kept in order. */
const everyMilliseconds = 1_000;

/**
 * Takes grants that have ended out of the bundles: those of the time when no master ran at once, the rest as they end.
 * Looking again and again, instead of waiting for the next end, is right also when the clock is set.
 */
export function watchGrants(master: { store: Store; now: () => Date; log: FailureLog }): { stop(): void } {
  const look = () => {
    try {
      if (superseded(master.store) === undefined) endGrants(master.store, master.now());
    } catch (error) {
      master.log.error(
        { err: error },
        'grants that have ended could not be taken out of the bundles; it is tried again',
      );
    }
  };
  look();
  const timer = setInterval(look, everyMilliseconds);
  return { stop: () => clearInterval(timer) };
}
