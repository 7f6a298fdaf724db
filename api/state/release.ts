import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { type Manifest, ReleaseFile } from '#contract/trust.ts';
import { sha256Hex } from '../formats/hash.ts';
import { unsealKey } from '../keys/sealed.ts';
import { signManifest } from '../keys/signed.ts';
import { useKey } from '../keys/working-keys.ts';
import { writeDurably } from './files.ts';
import { masterPaths } from './layout.ts';

export type ReleaseOptions = {
  stateDir: string;
  version: string;
  files: readonly { name: string; path: string }[];
  passphrase: string;
};

export type Released = { ok: true; manifest: Manifest } | { ok: false; reason: 'wrong-passphrase' };

/**
 * Puts files in the place they are served from, with a manifest signed by the key for releases. The manifest comes
 * last: a client that asks in between finds a file that does not fit its manifest, and installs nothing.
 */
export async function release(options: ReleaseOptions, now: Date): Promise<Released> {
  const paths = masterPaths(options.stateDir);
  const unsealed = await unsealKey(readFileSync(paths.sealedKey('releases'), 'utf8'), options.passphrase);
  if (!unsealed.ok) return unsealed;
  const contents = options.files.map(({ name, path }) => ({ name, bytes: new Uint8Array(readFileSync(path)) }));
  const manifest: Manifest = {
    version: options.version,
    issuedAt: now.toISOString(),
    files: contents.map(({ name, bytes }) =>
      v.parse(ReleaseFile, { name, sha256: sha256Hex(bytes), bytes: bytes.length }),
    ),
  };
  const signed = await signManifest(manifest, await useKey(unsealed.key));
  for (const { name, bytes } of contents) writeDurably(join(paths.releases, name), bytes);
  writeDurably(paths.manifest, signed);
  return { ok: true, manifest };
}

/** The files as they are now, read anew each time: a release needs no restart. */
export type Releases = { read(name: 'join.sh' | 'postern-client.js' | 'manifest.jws'): Uint8Array | undefined };

export function releasesIn(folder: string): Releases {
  return {
    read(name) {
      const path = join(folder, name);
      return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
    },
  };
}
