import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Version } from '#contract/snapshot.ts';
import { backupIdentity } from '../keys/backup-key.ts';
import { unsealKey } from '../keys/sealed.ts';
import { inspectCopy } from '../store/copy.ts';
import { beginLife } from '../store/lives.ts';
import { openStore } from '../store/open.ts';
import { readSettings } from '../store/settings.ts';
import { unpackBackup } from './backup.ts';
import { BackupError } from './backup-file.ts';
import { type BackupManifest, isOwnManifest } from './backup-manifest.ts';
import { loadCredentials } from './credentials.ts';
import { StateError } from './errors.ts';
import { syncFolder } from './files.ts';
import { masterPaths } from './layout.ts';

export type RestoreOptions = {
  stateDir: string;
  file: string;
  passphrase: string;
  /** Put a master that is there already aside. */
  force: boolean;
  publicUrl?: string;
  /** Where the node of this machine is reached from now on, `HOST:PORT`. */
  endpoint?: string;
};

export type Restored = Version & {
  backup: Pick<BackupManifest, 'createdAt' | 'epoch' | 'revision'>;
  rootThumbprint: string;
  publicUrl: string;
  users: number;
  devices: number;
  /** The master that was there before, if any. */
  putAside?: string;
};

const draftPrefix = '.restore-draft-';

/**
 * Makes this machine the master that a backup was made of, in a new epoch. Everything is read, checked and made ready in
 * a folder beside, and moved into place at the end, the master last: what is cut short leaves no master, and is done
 * again. A machine that is a node already stays that node.
 *
 * @throws BackupError, StateError, StorageError
 */
export async function restoreBackup(options: RestoreOptions, now: Date): Promise<Restored> {
  const { stateDir, file, passphrase, force } = options;
  const final = masterPaths(stateDir);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  if (existsSync(final.root) && !force)
    throw new StateError('untrusted', `There is a master in ${stateDir} already. Put it aside with --force.`);
  for (const name of readdirSync(stateDir))
    if (name.startsWith(draftPrefix)) rmSync(join(stateDir, name), { recursive: true, force: true });
  const draft = join(stateDir, `${draftPrefix}${process.pid}`);
  mkdirSync(draft, { mode: 0o700 });
  try {
    const unpacked = await unpackBackup(file, await backupIdentity(passphrase), (path) => fileIn(draft, path));
    const { manifest } = unpacked;
    const rootThumbprint = await checkParts(draft, file, unpacked, passphrase);
    const own = nodeOf(stateDir) ?? nodeOf(draft);
    const begun = beginHere(draft, options, manifest, own, now);
    // A backup holds files alone.
    mkdirSync(masterPaths(draft).releases, { recursive: true, mode: 0o700 });
    syncAll(draft);
    const putAside = moveIntoPlace(draft, stateDir, now);
    const { createdAt, epoch, revision } = manifest;
    return {
      ...begun,
      backup: { createdAt, epoch, revision },
      rootThumbprint,
      ...(putAside === undefined ? {} : { putAside }),
    };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function fileIn(draft: string, path: string): (piece: Uint8Array) => void {
  const target = join(draft, path);
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  writeFileSync(target, '', { mode: 0o600, flag: 'wx' });
  return (piece) => appendFileSync(target, piece);
}

/** Whoever knows the public half of the backup key can encrypt to it; only the master itself can have made the rest. */
async function checkParts(
  draft: string,
  file: string,
  { manifest, jws }: { manifest: BackupManifest; jws: string },
  passphrase: string,
): Promise<string> {
  const paths = masterPaths(draft);
  const credentials = await loadCredentials(paths);
  const { rootThumbprint } = credentials.trust;
  if (!(await isOwnManifest(jws, credentials.keys)))
    throw new BackupError('damaged', `${file} was not made by the master whose keys it holds.`);
  const root = await unsealKey(readFileSync(paths.sealedKey('root'), 'utf8'), passphrase);
  if (!root.ok || root.key.kid !== rootThumbprint)
    throw new BackupError('damaged', `${file} holds another root key than the one that the passphrase opens.`);
  const { epoch, revision } = inspectCopy(paths.database);
  if (epoch !== manifest.epoch || revision !== manifest.revision)
    throw new BackupError('damaged', `${file} holds another revision than its manifest says.`);
  return rootThumbprint;
}

/** The node that the agent in a state directory is; undefined where there is none. */
function nodeOf(stateDir: string): string | undefined {
  const path = join(stateDir, 'agent', 'config.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).node : undefined;
}

function beginHere(
  draft: string,
  { publicUrl, endpoint }: RestoreOptions,
  { createdAt }: BackupManifest,
  node: string | undefined,
  now: Date,
): Omit<Restored, 'backup' | 'rootThumbprint'> {
  const { database } = masterPaths(draft);
  const store = openStore(database);
  try {
    const beginning = { cause: 'restore', copiedAt: createdAt, actor: 'recovery passphrase' } as const;
    const moved = node !== undefined && endpoint !== undefined ? { moved: { node, endpoint } } : {};
    const version = beginLife(store, { ...beginning, ...moved, ...(publicUrl && { publicUrl }) }, now);
    const settings = readSettings(store);
    store.flush();
    const { users, devices } = inspectCopy(database);
    return { ...version, publicUrl: settings.publicUrl, users, devices };
  } finally {
    store.close();
  }
}

function syncAll(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncAll(path);
    else {
      const file = openSync(path, 'r');
      fsyncSync(file);
      closeSync(file);
    }
  }
  syncFolder(folder);
}

/** @returns where the master went that was there before. */
function moveIntoPlace(draft: string, stateDir: string, now: Date): string | undefined {
  const suffix = `.replaced-${now.toISOString().replace(/[:.]/g, '-')}`;
  const moved: string[] = [];
  const masterLast = readdirSync(draft).sort((a, b) => Number(a === 'master') - Number(b === 'master'));
  for (const name of masterLast) {
    const to = join(stateDir, name);
    if (name === 'agent' && nodeOf(stateDir) !== undefined) continue;
    if (statSync(to, { throwIfNoEntry: false })?.isDirectory()) {
      renameSync(to, `${to}${suffix}`);
      moved.push(`${to}${suffix}`);
    }
    renameSync(join(draft, name), to);
    syncFolder(stateDir);
  }
  return moved.at(-1);
}
