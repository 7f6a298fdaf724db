import type { FailureLog } from '../http/errors.ts';
import { expireDevices } from '../store/devices.ts';
import { superseded } from '../store/lives.ts';
import type { Store } from '../store/open.ts';
import type { Published } from './published.ts';

/** Looking costs one read of an index. */
const everyMilliseconds = 1_000;

/** Lets machines go whose time is over: those of the time when no master ran at once, the rest as it comes. */
export function letMachinesGo(master: { store: Store; published: Published; now: () => Date; log: FailureLog }): {
  stop(): void;
} {
  const look = async () => {
    try {
      if (superseded(master.store) !== undefined) return;
      const gone = expireDevices(master.store, master.now());
      if (gone.length === 0) return;
      await master.store.settled();
      for (const id of gone) master.published.forget(id);
    } catch (error) {
      master.log.error({ err: error }, 'machines whose time is over could not be removed; it is tried again');
    }
  };
  void look();
  const timer = setInterval(() => void look(), everyMilliseconds);
  return { stop: () => clearInterval(timer) };
}
