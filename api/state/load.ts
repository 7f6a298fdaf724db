import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { KeyUse } from '#contract/trust.ts';
import { spkiHash } from '../keys/tls.ts';
import { KeyFile, useKey, type WorkingKeyPair } from '../keys/working-keys.ts';
import { openStore, type Store, type StoreOptions } from '../store/open.ts';
import { readSettings } from '../store/settings.ts';
import { type MasterPaths, masterPaths } from './layout.ts';
import { type Releases, releasesIn } from './release.ts';
import { readTrustList, rootThumbprint } from './trust.ts';

export type LoadedState = {
  store: Store;
  keys: { tokens: WorkingKeyPair; snapshots: WorkingKeyPair; bundles: WorkingKeyPair };
  trust: { jws: string; rootThumbprint: string };
  tls: { cert: string; key: string };
  releases: Releases;
};

/** The state cannot be served as it is; the message says which part and what to do. */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly code: 'missing' | 'damaged' | 'untrusted';

  constructor(code: StateError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/**
 * Opens the master's state and checks that its parts belong together: clients would refuse a key or a certificate that
 * the root-signed list does not name, so serving with one helps nobody.
 *
 * @throws StateError or StorageError
 */
export async function loadState(stateDir: string, options: StoreOptions = {}): Promise<LoadedState> {
  const paths = masterPaths(stateDir);
  if (!existsSync(paths.root))
    throw new StateError('missing', `There is no master in ${stateDir}. Make one first: main.ts init --state-dir …`);
  const trust = readText(paths.trust).trim();
  const list = await readTrustList(trust).catch((cause) => {
    throw new StateError(
      'damaged',
      `${paths.trust} is damaged: its signature does not hold. Put back a backup.`,
      cause,
    );
  });
  const listedKey = async (use: KeyUse): Promise<WorkingKeyPair> => {
    const key = await readKey(paths, use);
    if (!list.keys.some((known) => known.use === use && known.kid === key.kid))
      throw new StateError('untrusted', `${paths.key(use)} is not the key that ${paths.trust} names for ${use}.`);
    return key;
  };
  const keys = {
    tokens: await listedKey('tokens'),
    snapshots: await listedKey('snapshots'),
    bundles: await listedKey('bundles'),
  };
  const tls = { cert: readText(paths.certificate), key: readText(paths.tlsKey) };
  if (!list.tls.includes(spkiOf(paths, tls.cert)))
    throw new StateError('untrusted', `${paths.certificate} has a key that ${paths.trust} does not name.`);
  const store = openStore(paths.database, options);
  readSettings(store);
  return {
    store,
    keys,
    tls,
    trust: { jws: trust, rootThumbprint: await rootThumbprint(trust) },
    releases: releasesIn(paths.releases),
  };
}

async function readKey(paths: MasterPaths, use: KeyUse): Promise<WorkingKeyPair> {
  const text = readText(paths.key(use));
  try {
    return await useKey(v.parse(KeyFile, JSON.parse(text)));
  } catch {
    // The cause would quote the private key.
    throw new StateError('damaged', `${paths.key(use)} is damaged: it is not an Ed25519 key. Put back a backup.`);
  }
}

function spkiOf(paths: MasterPaths, certificate: string): string {
  try {
    new X509Certificate(certificate);
    return spkiHash(certificate);
  } catch (cause) {
    throw new StateError(
      'damaged',
      `${paths.certificate} is damaged: it is not a certificate. Put back a backup.`,
      cause,
    );
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StateError('damaged', `${path} cannot be read. Put back a backup.`, cause);
  }
}
