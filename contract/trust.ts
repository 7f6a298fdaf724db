import * as v from 'valibot';
import { SigningKey, Thumbprint } from './key.ts';
import { Count, Timestamp } from './name.ts';

/**
 * What each kind of signed text is called in its JWS header, so that none can be passed off as another.
 * All are EdDSA over Ed25519 (RFC 8037).
 */
export const signedTypes = {
  trust: 'postern-trust+jws',
  snapshot: 'postern-snapshot+jws',
  bundle: 'postern-bundle+jws',
  manifest: 'postern-manifest+jws',
  backup: 'postern-backup+jws',
  code: 'postern-code+jwt',
  enrolment: 'postern-enrolment+jwt',
  agent: 'postern-agent+jwt',
  device: 'postern-device+jwt',
  agentAssertion: 'postern-agent-assertion+jwt',
  deviceAssertion: 'postern-device-assertion+jwt',
} as const;

export const KeyUse = v.picklist(['tokens', 'snapshots', 'bundles', 'releases']);
export type KeyUse = v.InferOutput<typeof KeyUse>;

/** A working key. `kid` is its RFC 7638 thumbprint. */
export const WorkingKey = v.object({ kid: Thumbprint, use: KeyUse, x: SigningKey, notAfter: Timestamp });
export type WorkingKey = v.InferOutput<typeof WorkingKey>;

/**
 * The list that the root key signs, the only thing it signs. Its JWS header carries the root's public key as `jwk`;
 * whoever checks it compares that key's thumbprint with the one pinned by the join line.
 * `tls` holds SHA-256 hashes of the SubjectPublicKeyInfo (DER) of the certificates the master may show.
 */
export const TrustList = v.object({
  version: Count,
  issuedAt: Timestamp,
  keys: v.array(WorkingKey),
  tls: v.array(Thumbprint),
});
export type TrustList = v.InferOutput<typeof TrustList>;

/** A file that the master serves to devices. `sha256` is in hex, as sha256sum(1) prints it. */
export const ReleaseFile = v.object({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  bytes: Count,
});
export type ReleaseFile = v.InferOutput<typeof ReleaseFile>;

/** Signed with the key of use `releases`. */
export const Manifest = v.object({
  version: v.pipe(v.string(), v.maxLength(64)),
  issuedAt: Timestamp,
  files: v.array(ReleaseFile),
});
export type Manifest = v.InferOutput<typeof Manifest>;
