import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeFromBytes } from '#contract/code.ts';
import type { KeyUse, TrustList, WorkingKey } from '#contract/trust.ts';
import { firstDocument } from '../decisions/first-document.ts';
import { authorityIn } from '../keys/authority.ts';
import { sealKey } from '../keys/sealed.ts';
import { signTrustList } from '../keys/signed.ts';
import { makeCertificate, spkiHash } from '../keys/tls.ts';
import { type KeyFile, makeKey, useKey } from '../keys/working-keys.ts';
import { addApiToken } from '../store/api-tokens.ts';
import { createStore } from '../store/open.ts';
import { createSettings, usualDomain } from '../store/settings.ts';
import { addUser } from '../store/users.ts';
import { syncFolder, writeDurably } from './files.ts';
import { type MasterPaths, masterPaths } from './layout.ts';
import { rootThumbprint } from './trust.ts';

export type InitOptions = {
  stateDir: string;
  pool: string;
  owner: string;
  publicUrl: string;
  mesh?: string;
  upstreams?: readonly string[];
  tls?: { cert: string; key: string };
};

export type Initialised =
  | { created: true; ownerToken: string; recoveryPassphrase: string; rootThumbprint: string }
  | { created: false; rootThumbprint: string };

const draftPrefix = '.master-draft-';
const onlineUses = ['tokens', 'snapshots', 'bundles'] as const satisfies readonly KeyUse[];

/**
 * Makes the master's state: database, first owner, keys, TLS certificate, trust list. All of it is made in a folder
 * beside its place and moved there by one rename, so that an attempt that is cut short leaves nothing that counts.
 *
 * `announce` gets the result just before that rename: if the secrets cannot be told, there is no master that has them.
 */
export async function initialise(
  options: InitOptions,
  now: Date,
  announce: (result: Initialised) => void,
): Promise<void> {
  const final = masterPaths(options.stateDir);
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  if (existsSync(final.root)) {
    announce({ created: false, rootThumbprint: await rootThumbprint(readFileSync(final.trust, 'utf8')) });
    return;
  }
  for (const name of readdirSync(options.stateDir))
    if (name.startsWith(draftPrefix)) rmSync(join(options.stateDir, name), { recursive: true, force: true });

  const draft = masterPaths(options.stateDir, `${draftPrefix}${process.pid}`);
  for (const folder of [draft.root, draft.keys, draft.tls, draft.releases]) mkdirSync(folder, { mode: 0o700 });
  try {
    await placeCertificate(draft, options);
    const recoveryPassphrase = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
    const trust = await makeKeys(draft, recoveryPassphrase, now);
    // Loaded here alone: a master that only serves needs none of it.
    const { backupRecipient } = await import('../keys/backup-key.ts');
    writeDurably(draft.backupRecipient, `${await backupRecipient(recoveryPassphrase)}\n`);
    const authority = await authorityIn(draft.keys).make(usualDomain, now);
    const ownerToken = makeDatabase(draft, options, authority, now);
    for (const folder of [draft.keys, draft.tls, draft.root]) syncFolder(folder);
    announce({ created: true, ownerToken, recoveryPassphrase, rootThumbprint: await rootThumbprint(trust) });
    renameSync(draft.root, final.root);
    syncFolder(options.stateDir);
  } catch (error) {
    rmSync(draft.root, { recursive: true, force: true });
    throw error;
  }
}

async function placeCertificate(paths: MasterPaths, { publicUrl, tls }: InitOptions): Promise<void> {
  if (tls === undefined) {
    const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
    await makeCertificate(host, { cert: paths.certificate, key: paths.tlsKey });
    for (const file of [paths.certificate, paths.tlsKey]) chmodSync(file, 0o600);
    return;
  }
  const cert = readFileSync(tls.cert, 'utf8');
  const key = readFileSync(tls.key, 'utf8');
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error(`the key in ${tls.key} does not belong to the certificate in ${tls.cert}`);
  writeDurably(paths.certificate, cert);
  writeDurably(paths.tlsKey, key);
}

/** The root signs the list of the others once; it and the key for releases then rest under the passphrase. */
async function makeKeys(paths: MasterPaths, passphrase: string, now: Date): Promise<string> {
  const root = await makeKey(yearsAfter(now, 20));
  const releases = await makeKey(yearsAfter(now, 1));
  const online = await Promise.all(onlineUses.map(async (use) => ({ use, key: await makeKey(yearsAfter(now, 1)) })));
  for (const { use, key } of online) writeDurably(paths.key(use), JSON.stringify(key));
  writeDurably(paths.sealedKey('root'), await sealKey(root, passphrase));
  writeDurably(paths.sealedKey('releases'), await sealKey(releases, passphrase));
  const list: TrustList = {
    version: 1,
    issuedAt: now.toISOString(),
    keys: [...online, { use: 'releases' as const, key: releases }].map(({ use, key }) => listed(use, key)),
    tls: [spkiHash(readFileSync(paths.certificate, 'utf8'))],
  };
  const trust = await signTrustList(list, await useKey(root));
  writeDurably(paths.trust, trust);
  return trust;
}

function makeDatabase(
  paths: MasterPaths,
  { owner, tls, stateDir, ...first }: InitOptions,
  authority: string,
  now: Date,
): string {
  const store = createStore(paths.database);
  try {
    return store.write(() => {
      createSettings(store, { ...first, document: firstDocument, authority }, now);
      const added = addUser(store, { email: owner, role: 'admin', permission: 'owner' }, 'setup', now);
      if (!added.ok) throw new Error(`the first owner could not be made: ${added.reason}`);
      return addApiToken(store, added.value.id, now);
    });
  } finally {
    store.close();
    chmodSync(paths.database, 0o600);
  }
}

function listed(use: KeyUse, { kid, x, notAfter }: KeyFile): WorkingKey {
  return { kid, use, x, notAfter };
}

function yearsAfter(now: Date, years: number): Date {
  const later = new Date(now);
  later.setUTCFullYear(later.getUTCFullYear() + years);
  return later;
}
