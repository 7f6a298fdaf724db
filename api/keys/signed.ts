import { CompactSign } from 'jose';
import type { Bundle } from '#contract/bundle.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { type Manifest, signedTypes, type TrustList } from '#contract/trust.ts';
import { publicJwk, type WorkingKeyPair } from './working-keys.ts';

/**
 * Signed documents as compact JWS. Ed25519 is deterministic: the same document under the same key is the same text,
 * so an answer that got lost can be given again byte by byte.
 */

export function signSnapshot(snapshot: Snapshot, key: WorkingKeyPair): Promise<string> {
  return sign(snapshot, signedTypes.snapshot, key);
}

export function signBundle(bundle: Bundle, key: WorkingKeyPair): Promise<string> {
  return sign(bundle, signedTypes.bundle, key);
}

export function signManifest(manifest: Manifest, key: WorkingKeyPair): Promise<string> {
  return sign(manifest, signedTypes.manifest, key);
}

/** The root's public key travels in the header: whoever checks it has pinned its thumbprint. */
export function signTrustList(list: TrustList, root: WorkingKeyPair): Promise<string> {
  return sign(list, signedTypes.trust, root, { jwk: publicJwk(root.x) });
}

function sign(document: object, typ: string, key: WorkingKeyPair, header = {}): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(document)))
    .setProtectedHeader({ alg: 'EdDSA', typ, kid: key.kid, ...header })
    .sign(key.sign);
}
