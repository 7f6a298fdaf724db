import * as v from 'valibot';
import { Timestamp } from './name.ts';
import { DnsName } from './network.ts';

/** Certificates of the authority for names of the internal domain. */

const Pem = (label: string) =>
  v.pipe(
    v.string(),
    v.maxLength(8_192, 'is too long'),
    v.regex(
      new RegExp(`^-----BEGIN ${label}-----\\r?\\n[A-Za-z0-9+/=\\r\\n]+-----END ${label}-----\\r?\\n?$`),
      `must be a ${label} (PEM)`,
    ),
    v.examples([`-----BEGIN ${label}-----\nMIHZMIGAAgEAMB4x\n-----END ${label}-----\n`]),
  );

/** Only the key counts, which must be of the curve P-256 or P-384. The master knows the names. */
export const CertificateRequest = v.strictObject({ csr: Pem('CERTIFICATE REQUEST') });
export type CertificateRequest = v.InferOutput<typeof CertificateRequest>;

/** Both certificates are PEM. */
export const IssuedCertificate = v.object({
  certificate: v.string(),
  authority: v.string(),
  names: v.array(DnsName),
  notAfter: Timestamp,
});
export type IssuedCertificate = v.InferOutput<typeof IssuedCertificate>;
