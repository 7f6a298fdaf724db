import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spkiHash } from './tls.ts';

/**
 * The authority for names of the internal domain. Its key lies in a file that is named after it, so that the certificate
 * in force leads to it; certificates are made by the openssl program, as that of the master is: it can hold an authority
 * to a domain (RFC 5280, name constraints) and date a certificate back.
 */
export type Authority = {
  /** Makes an authority that can vouch for names of this domain and for nothing else. @returns its certificate (PEM). */
  make(domain: string, now: Date): Promise<string>;
  /** @returns a certificate (PEM) for these names and the key of the request; undefined when that is not sound. */
  certify(
    csr: string,
    wanted: { authority: string; node: string; names: readonly string[] },
    now: Date,
  ): Promise<string | undefined>;
};

const curves = ['prime256v1', 'secp384r1'];
const authorityDays = 20 * 365;
const leafDays = 90;
/** Clocks of devices may be behind ours. */
const skewMilliseconds = 3_600_000;
const dayMilliseconds = 86_400_000;

/** The authority whose keys lie in this folder. */
export function authorityIn(folder: string): Authority {
  const keyFile = (certificate: string) => join(folder, `authority-${spkiHash(certificate).slice(0, 16)}.pem`);

  /** Works in a folder of its own beside the keys: names in files of openssl's are relative to it. */
  const working = async <T>(act: (at: string) => Promise<T>): Promise<T> => {
    const at = mkdtempSync(join(folder, '.authority-'));
    try {
      return await act(at);
    } finally {
      rmSync(at, { recursive: true, force: true });
    }
  };

  return {
    make(domain, now) {
      return working(async (at) => {
        await openssl(at, ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'key.pem']);
        chmodSync(join(at, 'key.pem'), 0o600);
        const subject = ['-subj', `/CN=Postern ${domain}`.slice(0, 60)];
        await openssl(at, ['req', '-new', '-key', 'key.pem', ...subject, '-out', 'csr.pem']);
        writeSettings(at, [
          'basicConstraints = critical, CA:TRUE, pathlen:0',
          'keyUsage = critical, keyCertSign, cRLSign',
          'extendedKeyUsage = serverAuth',
          'subjectKeyIdentifier = hash',
          // What is not named in a kind of name is allowed, so the other kinds are closed.
          `nameConstraints = critical, permitted;DNS:${domain}, excluded;IP:0.0.0.0/0.0.0.0, excluded;IP:::/::`,
        ]);
        const certificate = await sign(at, ['-selfsign', '-keyfile', 'key.pem'], now, authorityDays);
        renameSync(join(at, 'key.pem'), keyFile(certificate));
        return certificate;
      });
    },

    certify(csr, { authority, node, names }, now) {
      return working(async (at) => {
        writeFileSync(join(at, 'csr.pem'), csr);
        writeFileSync(join(at, 'authority.pem'), authority);
        writeSettings(at, [
          'basicConstraints = critical, CA:FALSE',
          'keyUsage = critical, digitalSignature',
          'extendedKeyUsage = serverAuth',
          'subjectKeyIdentifier = hash',
          'authorityKeyIdentifier = keyid',
          `subjectAltName = ${names.map((name) => `DNS:${name}`).join(', ')}`,
        ]);
        if (!(await isSound(at))) return undefined;
        const by = ['-cert', 'authority.pem', '-keyfile', keyFile(authority), '-subj', `/CN=${node}`];
        return sign(at, by, now, leafDays);
      });
    },
  };
}

/** Whether the request is signed by its own key, and that is of a curve that all browsers take. */
async function isSound(at: string): Promise<boolean> {
  try {
    // It ends well in either case; what it says of the request's content is elsewhere.
    const { stderr } = await openssl(at, ['req', '-in', 'csr.pem', '-verify', '-noout']);
    if (!/^(?:Certificate request self-signature )?verify OK$/m.test(stderr)) return false;
    const { stdout: key } = await openssl(at, ['req', '-in', 'csr.pem', '-noout', '-pubkey']);
    return curves.includes(curveOf(key) ?? '');
  } catch (error) {
    if (error instanceof OpensslFailed) return false;
    throw error;
  }
}

/** Undefined for a key that has none, or of a kind that nobody knows here. */
function curveOf(key: string): string | undefined {
  try {
    return createPublicKey(key).asymmetricKeyDetails?.namedCurve;
  } catch {
    return undefined;
  }
}

async function sign(at: string, words: string[], now: Date, days: number): Promise<string> {
  writeFileSync(join(at, 'index.txt'), '');
  // Random, so that nobody foresees it and none comes twice; the first byte keeps it positive.
  writeFileSync(join(at, 'serial'), `01${randomBytes(15).toString('hex').toUpperCase()}\n`);
  const from = utcTime(new Date(now.getTime() - skewMilliseconds));
  const until = utcTime(new Date(now.getTime() + days * dayMilliseconds));
  await openssl(at, [
    ...['ca', '-batch', '-notext', '-config', 'settings', '-in', 'csr.pem', '-out', 'made.pem'],
    ...['-startdate', from, '-enddate', until, '-extensions', 'extensions', ...words],
  ]);
  return new X509Certificate(readFileSync(join(at, 'made.pem'))).toString();
}

function writeSettings(at: string, extensions: readonly string[]): void {
  const lines = [
    ...[
      '[ca]',
      'default_ca = here',
      '[here]',
      'database = index.txt',
      'serial = serial',
      'new_certs_dir = .',
      'unique_subject = no',
    ],
    ...['default_md = sha256', 'policy = any', 'copy_extensions = none', 'email_in_dn = no'],
    ...['[any]', 'commonName = supplied', '[extensions]', ...extensions, ''],
  ];
  writeFileSync(join(at, 'settings'), lines.join('\n'));
}

/** As openssl takes a moment: YYYYMMDDHHMMSSZ. */
function utcTime(moment: Date): string {
  return `${moment.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

class OpensslFailed extends Error {
  override readonly name = 'OpensslFailed';
  readonly code = 'openssl-failed';
}

/** Its own settings of the machine do not count. @throws OpensslFailed with what it said. */
async function openssl(cwd: string, words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const child = Bun.spawn(['openssl', ...words], {
    cwd,
    env: { ...process.env, OPENSSL_CONF: '/dev/null' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 30_000,
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) throw new OpensslFailed(`openssl ${words[0]} ended with ${status}: ${stderr.trim()}`);
  return { stdout, stderr };
}
