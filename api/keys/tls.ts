import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { sha256Base64url } from '../formats/hash.ts';

/** SHA-256 of the certificate's SubjectPublicKeyInfo (DER), as clients compare it; the first certificate of a chain. */
export function spkiHash(certificatePem: string): string {
  return hashOf(new X509Certificate(certificatePem).publicKey);
}

/** The same of the public half of a private key (PEM). */
export function spkiHashOfKey(privateKeyPem: string): string {
  return hashOf(createPublicKey(privateKeyPem));
}

function hashOf(publicKey: KeyObject): string {
  return sha256Base64url(publicKey.export({ type: 'spki', format: 'der' }));
}

/**
 * Makes a self-signed certificate for `host` with the openssl program, ten years: clients do not believe its dates or
 * its name but the root-signed list, which names its key.
 *
 * @throws Error with what openssl said.
 */
export async function makeCertificate(host: string, files: { cert: string; key: string }): Promise<void> {
  const isAddress = /^[\d.]+$/.test(host) || host.includes(':');
  const child = Bun.spawn(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', files.key, '-out', files.cert, '-days', '3650', '-subj', '/CN=postern'],
      ...['-addext', `subjectAltName=${isAddress ? 'IP' : 'DNS'}:${host}`],
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe', timeout: 30_000 },
  );
  const [said, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`openssl could not make a certificate for ${host}: ${said.trim()}`);
}
