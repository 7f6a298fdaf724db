import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { KeyUse, TrustList } from '#contract/trust.ts';
import { spkiHash } from '../keys/tls.ts';
import { KeyFile, type SigningKeys, useKey, type WorkingKeyPair } from '../keys/working-keys.ts';
import { StateError } from './errors.ts';
import type { MasterPaths } from './layout.ts';
import { readTrustList, rootThumbprint } from './trust.ts';

/** What the master shows and signs with. */
export type Credentials = {
  keys: SigningKeys;
  trust: { jws: string; rootThumbprint: string };
  tls: { cert: string; key: string };
};

/**
 * Reads keys, certificate and the list that the root signed, and checks that they belong together: clients would refuse
 * a key or a certificate that the list does not name, so serving with one helps nobody.
 *
 * @throws StateError
 */
export async function loadCredentials(paths: MasterPaths): Promise<Credentials> {
  const trust = readText(paths.trust).trim();
  const list = await readTrustList(trust).catch((cause) => {
    throw new StateError(
      'damaged',
      `${paths.trust} is damaged: its signature does not hold. Put back a backup.`,
      cause,
    );
  });
  const [tokens, snapshots, bundles] = await Promise.all([
    keysOf(paths, list, 'tokens'),
    keysOf(paths, list, 'snapshots'),
    keysOf(paths, list, 'bundles'),
  ]);
  const cert = readText(paths.certificate);
  const spki = spkiOf(paths, cert);
  if (!list.tls.includes(spki))
    throw new StateError('untrusted', `${paths.certificate} has a key that ${paths.trust} does not name.`);
  return {
    keys: {
      tokens: { ...tokens.current, retired: tokens.retired },
      snapshots: snapshots.current,
      bundles: bundles.current,
    },
    trust: { jws: trust, rootThumbprint: await rootThumbprint(trust) },
    tls: { cert, key: readText(tlsKeyPath(paths, spki)) },
  };
}

/** The file with the key of the certificate whose public key has this hash. The first one needs no name of its own. */
export function tlsKeyPath(paths: MasterPaths, spki: string): string {
  const named = join(paths.tls, `key-${spki}.pem`);
  return existsSync(named) ? named : paths.tlsKey;
}

/** The key of this use that the list names first signs; the others that are here only check what they signed. */
async function keysOf(
  paths: MasterPaths,
  list: TrustList,
  use: KeyUse,
): Promise<{ current: WorkingKeyPair; retired: WorkingKeyPair[] }> {
  const listed = list.keys.filter((key) => key.use === use);
  const pattern = new RegExp(`^${use}(-.+)?\\.jwk\\.json$`);
  const names = readdirSync(paths.keys).filter((name) => pattern.test(name));
  const here = new Map(
    (await Promise.all(names.map((name) => readKey(join(paths.keys, name))))).map((key) => [key.kid, key]),
  );
  const [first, ...others] = listed.map(({ kid, notAfter }) => {
    const key = here.get(kid);
    return key && { ...key, notAfter };
  });
  if (first === undefined)
    throw new StateError('untrusted', `${paths.key(use)} is not the key that ${paths.trust} names for ${use}.`);
  return { current: first, retired: others.filter((key) => key !== undefined) };
}

async function readKey(path: string): Promise<WorkingKeyPair> {
  const text = readText(path);
  try {
    return await useKey(v.parse(KeyFile, JSON.parse(text)));
  } catch {
    // The cause would quote the private key.
    throw new StateError('damaged', `${path} is damaged: it is not an Ed25519 key. Put back a backup.`);
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
