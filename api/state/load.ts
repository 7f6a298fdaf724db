import { existsSync } from 'node:fs';
import { type Authority, authorityIn } from '../keys/authority.ts';
import { type SecretBox, secretBoxOf } from '../keys/secret-box.ts';
import { openStore, type Store, type StoreOptions } from '../store/open.ts';
import { readSettings } from '../store/settings.ts';
import { type Credentials, loadCredentials } from './credentials.ts';
import { StateError } from './errors.ts';
import { masterPaths } from './layout.ts';
import { type Releases, releasesIn } from './release.ts';
import { secretKey } from './secret-key.ts';

export type LoadedState = Credentials & { store: Store; releases: Releases; box: SecretBox; authority: Authority };

/**
 * Opens the master's state and checks that its parts belong together.
 *
 * @throws StateError or StorageError
 */
export async function loadState(stateDir: string, options: StoreOptions = {}): Promise<LoadedState> {
  const paths = masterPaths(stateDir);
  if (!existsSync(paths.root))
    throw new StateError('missing', `There is no master in ${stateDir}. Make one first: main.ts init --state-dir …`);
  const credentials = await loadCredentials(paths);
  const store = openStore(paths.database, options);
  readSettings(store);
  return {
    ...credentials,
    store,
    releases: releasesIn(paths.releases),
    box: secretBoxOf(secretKey(paths.secretsKey)),
    authority: authorityIn(paths.keys),
  };
}
