import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compactVerify } from 'jose';
import * as v from 'valibot';
import { type KeyUse, Manifest, type TrustList, type WorkingKey } from '#contract/trust.ts';
import { sealKey, unsealKey } from '../keys/sealed.ts';
import { signManifest, signTrustList } from '../keys/signed.ts';
import { makeCertificate, spkiHash, spkiHashOfKey } from '../keys/tls.ts';
import { importEd25519, type KeyFile, makeKey, publicJwk, useKey } from '../keys/working-keys.ts';
import { tlsKeyPath } from './credentials.ts';
import { syncFolder, writeDurably } from './files.ts';
import type { MasterPaths } from './layout.ts';
import { readTrustList } from './trust.ts';

/** A new pair for TLS: made here for a host, or given. */
export type NewTls = { make: string } | { cert: string; key: string };

export type RenewOptions = {
  passphrase: string;
  uses: readonly KeyUse[];
  /** The keys that are replaced may have been stolen: nothing that they signed counts any more. */
  compromised: boolean;
  tls?: NewTls;
};

export type Renewed =
  | { ok: true; list: TrustList; replaced: readonly WorkingKey[] }
  | { ok: false; reason: 'wrong-passphrase' };

export const allUses = ['tokens', 'snapshots', 'bundles', 'releases'] as const satisfies readonly KeyUse[];

/** Longer than any code lives: what a retired key signed is good until it runs out by itself. */
const overlapMs = 31 * 86_400_000;

/**
 * Makes new working keys and has the root list them, before those that they replace. Everything that is new is on the
 * disk before the list names it, and the list is replaced by one rename: cut short anywhere, the old or the new is whole.
 *
 * @throws StateError, or Error with what openssl said.
 */
export async function renewKeys(paths: MasterPaths, options: RenewOptions, now: Date): Promise<Renewed> {
  const root = await unsealKey(readFileSync(paths.sealedKey('root'), 'utf8'), options.passphrase);
  if (!root.ok) return root;
  const before = await readTrustList(readFileSync(paths.trust, 'utf8').trim());
  const notAfter = yearAfter(now);
  const made = await Promise.all(options.uses.map(async (use) => ({ use, key: await makeKey(notAfter) })));
  for (const { use, key } of made)
    if (use === 'releases') writeDurably(nextReleasesKey(paths), await sealKey(key, options.passphrase));
    else writeDurably(join(paths.keys, `${use}-${key.kid}.jwk.json`), JSON.stringify(key));
  const certificate = options.tls === undefined ? undefined : await prepareTls(paths, options.tls);

  // It is shown until the new one is in its place.
  const shown = spkiHash(readFileSync(paths.certificate, 'utf8'));
  const isReplaced = ({ use }: WorkingKey) => options.uses.includes(use);
  const replaced = before.keys.filter(isReplaced);
  const list: TrustList = {
    version: before.version + 1,
    issuedAt: now.toISOString(),
    keys: [
      ...made.map(({ use, key }) => listed(use, key)),
      ...before.keys.filter((key) => !isReplaced(key)),
      ...(options.compromised ? [] : stillGood(replaced, now)),
    ],
    tls: certificate === undefined ? [shown] : options.compromised ? [certificate.spki] : [certificate.spki, shown],
  };
  writeDurably(paths.trust, await signTrustList(list, await useKey(root.key)));
  certificate?.putInPlace();
  const releases = made.find(({ use }) => use === 'releases')?.key;
  if (releases !== undefined) await putReleasesKeyInPlace(paths, before, releases);
  removeUnlisted(paths, list);
  return { ok: true, list, replaced };
}

/**
 * Puts a certificate in place for a key that the list already names, such as one that was renewed by its authority.
 *
 * @returns false when the list does not name its key: then the root has to.
 */
export async function replaceCertificate(paths: MasterPaths, cert: string, key?: string): Promise<boolean> {
  const { tls } = await readTrustList(readFileSync(paths.trust, 'utf8').trim());
  const spki = spkiHash(cert);
  if (!tls.includes(spki)) return false;
  if (key !== undefined) writeDurably(tlsKeyPath(paths, spki), key);
  writeDurably(paths.certificate, cert);
  return true;
}

async function prepareTls(paths: MasterPaths, tls: NewTls): Promise<{ spki: string; putInPlace(): void }> {
  const draft = { cert: join(paths.tls, 'cert.pem.draft'), key: join(paths.tls, 'key.pem.draft') };
  if ('make' in tls) await makeCertificate(tls.make, draft);
  const cert = 'make' in tls ? readFileSync(draft.cert, 'utf8') : tls.cert;
  const key = 'make' in tls ? readFileSync(draft.key, 'utf8') : tls.key;
  for (const file of [draft.cert, draft.key]) rmSync(file, { force: true });
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error('the key does not belong to the certificate');
  const spki = spkiHash(cert);
  writeDurably(join(paths.tls, `key-${spki}.pem`), key);
  return { spki, putInPlace: () => writeDurably(paths.certificate, cert) };
}

const nextReleasesKey = (paths: MasterPaths) => `${paths.sealedKey('releases')}.next`;

/** The manifest is signed anew: the key it is signed with runs out before the release does. */
async function putReleasesKeyInPlace(paths: MasterPaths, before: TrustList, key: KeyFile): Promise<void> {
  if (existsSync(paths.manifest)) {
    const manifest = await readManifest(readFileSync(paths.manifest, 'utf8').trim(), before);
    writeDurably(paths.manifest, await signManifest(manifest, await useKey(key)));
  }
  renameSync(nextReleasesKey(paths), paths.sealedKey('releases'));
  syncFolder(paths.keys);
}

async function readManifest(jws: string, { keys }: TrustList): Promise<Manifest> {
  const { payload } = await compactVerify(
    jws,
    async ({ kid }) => {
      const key = keys.find((candidate) => candidate.use === 'releases' && candidate.kid === kid);
      if (key === undefined)
        throw new Error('the manifest of the client is signed by a key that the root does not list');
      return importEd25519(publicJwk(key.x));
    },
    { algorithms: ['EdDSA'] },
  );
  return v.parse(Manifest, JSON.parse(new TextDecoder().decode(payload)));
}

/** What the list does not name signs nothing and checks nothing. */
function removeUnlisted(paths: MasterPaths, { keys, tls }: TrustList): void {
  const kids = new Set(keys.map(({ kid }) => kid));
  for (const name of readdirSync(paths.keys).filter((file) => file.endsWith('.jwk.json'))) {
    const path = join(paths.keys, name);
    const { kid } = JSON.parse(readFileSync(path, 'utf8')) as { kid?: string };
    if (kid === undefined || !kids.has(kid)) rmSync(path);
  }
  for (const name of readdirSync(paths.tls).filter((file) => /^key.*\.pem$/.test(file))) {
    const path = join(paths.tls, name);
    if (!tls.includes(spkiHashOfKey(readFileSync(path, 'utf8')))) rmSync(path);
  }
}

/** Retired keys, those that retire now included, which run out in time. */
function stillGood(keys: readonly WorkingKey[], now: Date): WorkingKey[] {
  const until = now.getTime() + overlapMs;
  return keys
    .map((key) => ({ ...key, notAfter: new Date(Math.min(Date.parse(key.notAfter), until)).toISOString() }))
    .filter(({ notAfter }) => Date.parse(notAfter) > now.getTime());
}

function listed(use: KeyUse, { kid, x, notAfter }: KeyFile): WorkingKey {
  return { kid, use, x, notAfter };
}

function yearAfter(now: Date): Date {
  const later = new Date(now);
  later.setUTCFullYear(later.getUTCFullYear() + 1);
  return later;
}
