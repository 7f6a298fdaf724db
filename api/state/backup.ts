import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import * as v from 'valibot';
import { backupIdentity, backupRecipient } from '../keys/backup-key.ts';
import { unsealKey } from '../keys/sealed.ts';
import { copyDatabase, inspectCopy } from '../store/copy.ts';
import { backedUpFiles } from './backup-content.ts';
import { BackupError, readBackupFile, sha256Of, sha256OfFile, writeBackupFile } from './backup-file.ts';
import { BackupManifest, manifestPath, signManifestOfBackup } from './backup-manifest.ts';
import { type Credentials, loadCredentials } from './credentials.ts';
import { StateError } from './errors.ts';
import { writeDurably } from './files.ts';
import { masterPaths } from './layout.ts';

export type Backup = Omit<BackupManifest, 'files'> & { file: string; bytes: number; files: number };

const draftPrefix = '.backup-draft-';
/** A backup takes seconds: what is older belongs to one that was cut short. */
const draftLifeMs = 3_600_000;
const databasePath = 'master/postern.db';

/**
 * Writes all that a new machine needs into one encrypted file, while the master goes on.
 *
 * @throws StateError when there is no master, or no key for backups yet.
 */
export async function createBackup(stateDir: string, out: string, now: Date): Promise<Backup> {
  const paths = masterPaths(stateDir);
  const file = resolve(out);
  if (!existsSync(paths.database)) throw new StateError('missing', `There is no master in ${stateDir}.`);
  if (!existsSync(paths.backupRecipient))
    throw new StateError('missing', `${paths.backupRecipient} is missing; give the recovery passphrase once.`);
  if (existsSync(file)) throw new Error(`${file} exists already; a backup never overwrites another file`);
  removeDrafts(stateDir, now);
  const draft = mkdtempSync(join(stateDir, draftPrefix));
  try {
    const credentials = await gather(stateDir, draft);
    const { schema, epoch, revision } = inspectCopy(join(draft, databasePath));
    const names = readdirSync(draft, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(draft.length + 1))
      .sort();
    const files = await Promise.all(names.map(async (path) => ({ path, ...(await sha256OfFile(join(draft, path))) })));
    const { rootThumbprint } = credentials.trust;
    const createdAt = now.toISOString();
    const about = { format: 1 as const, createdAt, epoch, revision, schema, rootThumbprint };
    const manifest = await signManifestOfBackup(v.parse(BackupManifest, { ...about, files }), credentials.keys.tokens);
    const parts = files.map(({ path, bytes }) => ({ path, bytes, from: join(draft, path) }));
    const recipient = readFileSync(paths.backupRecipient, 'utf8').trim();
    await writeBackupFile(file, [{ path: manifestPath, text: manifest }, ...parts], recipient);
    return { ...about, file, bytes: statSync(file).size, files: files.length };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Keys, certificate and list are replaced one after the other: in the middle of that they do not belong together. */
async function gather(stateDir: string, draft: string): Promise<Credentials> {
  for (let tries = 1; ; tries += 1) {
    for (const path of backedUpFiles(stateDir)) {
      mkdirSync(dirname(join(draft, path)), { recursive: true, mode: 0o700 });
      // Files here are only ever replaced by others, so a second name keeps one as it is now.
      linkSync(join(stateDir, path), join(draft, path));
    }
    try {
      const credentials = await loadCredentials(masterPaths(draft));
      copyDatabase(masterPaths(stateDir).database, join(draft, databasePath));
      return credentials;
    } catch (error) {
      if (tries === 3) throw error;
      rmSync(draft, { recursive: true });
      mkdirSync(draft, { mode: 0o700 });
      await Bun.sleep(500);
    }
  }
}

function removeDrafts(stateDir: string, now: Date): void {
  for (const name of readdirSync(stateDir)) {
    if (!name.startsWith(draftPrefix)) continue;
    const path = join(stateDir, name);
    if (now.getTime() - statSync(path).mtimeMs > draftLifeMs) rmSync(path, { recursive: true, force: true });
  }
}

/** Keeps the public half of the key for backups, if the passphrase is the right one. Needed once, if ever. */
export async function keepBackupRecipient(stateDir: string, passphrase: string): Promise<boolean> {
  const paths = masterPaths(stateDir);
  const unsealed = await unsealKey(readFileSync(paths.sealedKey('root'), 'utf8'), passphrase);
  if (unsealed.ok) writeDurably(paths.backupRecipient, `${await backupRecipient(passphrase)}\n`);
  return unsealed.ok;
}

/** What stands in a backup, once it was read to its end and every file in it is what the manifest says. */
export async function unpackBackup(
  file: string,
  identity: string,
  place: (path: string) => ((piece: Uint8Array) => void | Promise<void>) | undefined,
): Promise<{ manifest: BackupManifest; jws: string }> {
  let found: { manifest: BackupManifest; jws: string } | undefined;
  const missing = new Map<string, BackupManifest['files'][number]>();
  await readBackupFile(file, identity, async ({ path, content }) => {
    if (found === undefined) {
      found = await readManifest(file, path, content);
      for (const one of found.manifest.files) missing.set(one.path, one);
      return;
    }
    const expected = missing.get(path);
    if (expected === undefined) throw new Error(`it holds ${path}, which its manifest does not name`);
    const { bytes, sha256 } = await sha256Of(content, place(path));
    if (bytes !== expected.bytes || sha256 !== expected.sha256)
      throw new Error(`${path} is not what the manifest says`);
    missing.delete(path);
  });
  if (found === undefined || missing.size > 0)
    throw new BackupError('damaged', `${file} is damaged: it lacks ${[...missing.keys()][0] ?? manifestPath}.`);
  return found;
}

async function readManifest(file: string, path: string, content: AsyncIterable<Uint8Array>) {
  const pieces: Uint8Array[] = [];
  await sha256Of(content, (piece) => void pieces.push(piece));
  const jws = Buffer.concat(pieces).toString('utf8');
  if (path !== manifestPath) throw new Error(`it begins with ${path} and not with a manifest`);
  decodeProtectedHeader(jws);
  const payload = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'));
  if (payload?.format > 1)
    throw new BackupError('newer', `${file} was made by a newer version of Postern. Restore it with that version.`);
  return { manifest: v.parse(BackupManifest, payload), jws };
}

export type VerifiedBackup = Backup & { users: number; devices: number };

/**
 * Reads a backup to its end and looks through the database in it. What is secret is not written anywhere but for the
 * database, into a private folder that is removed again.
 *
 * @throws BackupError, StorageError
 */
export async function verifyBackup(file: string, passphrase: string): Promise<VerifiedBackup> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-verify-'));
  try {
    const database = join(folder, 'postern.db');
    writeFileSync(database, '', { mode: 0o600 });
    const identity = await backupIdentity(passphrase);
    const { manifest } = await unpackBackup(file, identity, (path) =>
      path === databasePath ? (piece) => writeFileSync(database, piece, { flag: 'a' }) : undefined,
    );
    const { users, devices, ...facts } = inspectCopy(database);
    const { files, ...about } = manifest;
    if (facts.epoch !== about.epoch || facts.revision !== about.revision)
      throw new BackupError('damaged', `${file} holds another revision than its manifest says.`);
    return { ...about, file: resolve(file), bytes: statSync(file).size, files: files.length, users, devices };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
