import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { type CertificateFacts, isDue, pauseAfter } from '../decisions/certificate.ts';
import { spkiHash } from '../keys/tls.ts';
import { tlsKeyPath } from '../state/credentials.ts';
import type { MasterPaths } from '../state/layout.ts';
import { replaceCertificate } from '../state/renew.ts';
import { orderCertificate } from './order.ts';
import { readAcmeSettings } from './settings.ts';

const everyMs = 3_600_000;

/**
 * Looks whether a certificate is due, orders it and puts it in its place, where the running master finds it. One
 * `look` at a time; after a failure the next ones do nothing for a while.
 */
export function acmeKeeper(paths: MasterPaths, log: Pick<Logger, 'info' | 'error'>, now: () => Date) {
  let failures = 0;
  let notBefore = Number.NEGATIVE_INFINITY;
  let lastSettings = '';
  let looking: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    const settings = readAcmeSettings(paths);
    const text = JSON.stringify(settings);
    if (text !== lastSettings) notBefore = Number.NEGATIVE_INFINITY;
    lastSettings = text;
    if (settings === undefined || now().getTime() < notBefore) return;
    const cert = readFileSync(paths.certificate, 'utf8');
    if (!isDue(factsOf(cert), settings.name, now())) {
      notBefore = now().getTime() + everyMs;
      return;
    }
    try {
      log.info({ name: settings.name, directory: settings.directory }, 'ordering a certificate');
      const chain = await orderCertificate(paths, settings, readFileSync(tlsKeyPath(paths, spkiHash(cert)), 'utf8'));
      if (!(await replaceCertificate(paths, chain))) throw new Error('the authority certified another key than ours');
      failures = 0;
      log.info({ name: settings.name, until: factsOf(chain).notAfter }, 'a certificate was issued');
    } catch (err) {
      failures += 1;
      const pauseMs = pauseAfter(failures);
      notBefore = now().getTime() + pauseMs * (0.8 + 0.4 * Math.random());
      log.error({ err, againInSeconds: Math.round(pauseMs / 1000) }, 'no certificate was issued; the one before stays');
    }
  };

  return {
    look(): Promise<void> {
      looking ??= look().finally(() => {
        looking = undefined;
      });
      return looking;
    },
  };
}

export function factsOf(pem: string): CertificateFacts {
  const { subject, issuer, validFrom, validTo, subjectAltName = '' } = new X509Certificate(pem);
  return {
    subject,
    issuer,
    notBefore: new Date(validFrom),
    notAfter: new Date(validTo),
    names: subjectAltName.split(', ').flatMap((name) => (name.startsWith('DNS:') ? [name.slice(4)] : [])),
  };
}
