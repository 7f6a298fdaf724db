import { existsSync } from 'node:fs';
import type { Version } from '#contract/snapshot.ts';
import { beginLife } from '../store/lives.ts';
import { openStore } from '../store/open.ts';
import { currentVersion, readSettings } from '../store/settings.ts';
import { StateError } from './errors.ts';
import { masterPaths } from './layout.ts';

export type Promoted = Version & { from: Version };

/** Begins a new epoch here, above the newest that a node has shown. A running master follows by itself. */
export function promote(stateDir: string, now: Date): Promoted {
  const { database } = masterPaths(stateDir);
  if (!existsSync(database)) throw new StateError('missing', `There is no master in ${stateDir}.`);
  const store = openStore(database);
  try {
    const from = currentVersion(store);
    // Nobody wrote down when the copy was made; its last change is the nearest that is known.
    const { revisedAt: copiedAt } = readSettings(store);
    const version = beginLife(store, { cause: 'promote', copiedAt, actor: "the master's machine" }, now);
    store.flush();
    return { ...version, from };
  } finally {
    store.close();
  }
}
