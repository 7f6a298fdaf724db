import { CompactSign, compactVerify } from 'jose';
import * as v from 'valibot';
import { Thumbprint } from '#contract/key.ts';
import { Count, Timestamp } from '#contract/name.ts';
import { signedTypes } from '#contract/trust.ts';
import type { SigningKeys, WorkingKeyPair } from '../keys/working-keys.ts';

export const manifestPath = 'manifest.jws';

/** Below the state directory, with `/`; nothing leads out of it. */
const Path = v.pipe(
  v.string(),
  v.regex(/^(?:[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*\/)*[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*$/),
);

/**
 * What a backup says of itself: the first file in it. `format` grows when an older version could not restore it. It is
 * signed with the master's own key: everybody who has the public half of the backup key could encrypt something to it.
 */
export const BackupManifest = v.object({
  format: v.literal(1),
  createdAt: Timestamp,
  epoch: Count,
  revision: Count,
  schema: Count,
  rootThumbprint: Thumbprint,
  files: v.array(v.object({ path: Path, bytes: Count, sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) })),
});
export type BackupManifest = v.InferOutput<typeof BackupManifest>;

export function signManifestOfBackup(manifest: BackupManifest, key: WorkingKeyPair): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
    .setProtectedHeader({ alg: 'EdDSA', typ: signedTypes.backup, kid: key.kid })
    .sign(key.sign);
}

/** Whether a key of the master in the backup signed it. */
export async function isOwnManifest(jws: string, { tokens }: Pick<SigningKeys, 'tokens'>): Promise<boolean> {
  for (const { verify } of [tokens, ...(tokens.retired ?? [])]) {
    const checked = await compactVerify(jws, verify, { algorithms: ['EdDSA'] }).catch(() => undefined);
    if (checked?.protectedHeader.typ === signedTypes.backup) return true;
  }
  return false;
}
