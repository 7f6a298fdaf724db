import type { FailureLog } from '../http/errors.ts';
import type { Store } from '../store/open.ts';
import { tellConnection, toldConnections } from '../store/presence.ts';
import type { Fleet } from './fleet.ts';

const everyMilliseconds = 1_000;
/** Agents change their channel when their token ends, and come back within seconds when they are restarted. */
const graceMilliseconds = 20_000;

/**
 * Tells webhooks when a node's agent comes and when it stays away. What was told last is stored, so that a master that
 * was restarted tells of what has changed meanwhile, and of nothing else.
 */
export function watchPresence(master: { store: Store; fleet: Fleet; now: () => Date; log: FailureLog }): {
  look(): void;
  stop(): void;
} {
  const { store, fleet, now, log } = master;
  const startedAt = now().getTime();
  const lastConnected = new Map<string, number>();

  const look = () => {
    try {
      const at = now().getTime();
      for (const { name, connected } of toldConnections(store)) {
        const isConnected = fleet.isConnected(name);
        if (isConnected) lastConnected.set(name, at);
        const isAway = at - (lastConnected.get(name) ?? startedAt) >= graceMilliseconds;
        if (isConnected ? !connected : connected && isAway) tellConnection(store, name, isConnected, now());
      }
    } catch (error) {
      log.error({ err: error }, 'which nodes are connected could not be written down; it is tried again');
    }
  };
  const timer = setInterval(look, everyMilliseconds);
  return { look, stop: () => clearInterval(timer) };
}
