import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { IssuedCertificate } from '#contract/certificate.ts';
import type { DnsName } from '#contract/network.ts';
import type { RunCommand } from '../system/command.ts';
import { readFileIfPresent, writeFileAtomically } from '../system/files.ts';
import type { FrontCertificate } from './nginx.ts';

/** The certificate by which this node answers for fronts: asked of the master, kept on the disk, and renewed in time. */
export interface CertificateKeeper {
  /** The names it should be for. The same again changes nothing. */
  aimFor(names: readonly DnsName[]): void;
  /** The master can be reached: what failed is asked again now. */
  retry(): void;
  current(): FrontCertificate | undefined;
  /** Why the newest names are not in it, or why it is not renewed. */
  problem(): string | undefined;
  stop(): void;
}

export type CertificateOptions = {
  keyFile: string;
  certificateFile: string;
  node: string;
  run: RunCommand;
  ask: (csr: string) => Promise<IssuedCertificate>;
  now: () => Date;
  log: (line: string) => void;
  onChange: () => void;
};

const lookEveryMs = 60_000;
const retryMs = { first: 1_000, most: 300_000 };

export async function keepCertificate(options: CertificateOptions): Promise<CertificateKeeper> {
  const { keyFile, certificateFile, ask, now, log, onChange } = options;
  const key = await ensureKey(keyFile);
  let held = await readHeld(certificateFile, key);
  let wanted: readonly DnsName[] = [];
  let problem: string | undefined;
  let isBusy = false;
  let isStopped = false;
  let pauseMs: number = retryMs.first;
  let retrying: Timer | undefined;

  const isDue = () => wanted.length > 0 && needsRenewal(held, wanted, now());
  const renew = async () => {
    if (isBusy || isStopped || !isDue()) return;
    isBusy = true;
    try {
      const issued = await ask(await requestFor(options));
      if (!fits(issued, key)) throw new Error('the master gave a certificate for another key');
      await writeFileAtomically(certificateFile, `${JSON.stringify(issued)}\n`);
      held = issued;
      log(`has a certificate until ${issued.notAfter} for ${issued.names.join(', ')}`);
      onChange();
      if (isDue()) throw new Error(`the master does not vouch for ${missing(issued, wanted).join(', ')} yet`);
      problem = undefined;
      pauseMs = retryMs.first;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (problem !== reason) log(`no new certificate: ${reason}`);
      problem = reason;
      clearTimeout(retrying);
      retrying = setTimeout(renewAgain, pauseMs);
      pauseMs = Math.min(pauseMs * 2, retryMs.most);
    } finally {
      isBusy = false;
    }
  };
  const renewAgain = () => void renew();
  const looking = setInterval(renewAgain, lookEveryMs);

  return {
    aimFor(names) {
      if (names.join() === wanted.join()) return;
      wanted = [...names];
      if (!isDue()) problem = undefined;
      pauseMs = retryMs.first;
      renewAgain();
    },
    retry() {
      pauseMs = retryMs.first;
      renewAgain();
    },
    current: () => (held === undefined ? undefined : { certificate: held.certificate, key, names: held.names }),
    problem: () => problem,
    stop() {
      isStopped = true;
      clearInterval(looking);
      clearTimeout(retrying);
    },
  };
}

type Held = Pick<IssuedCertificate, 'certificate' | 'names'>;

/** At half of its life, so that a master may be dead for as long again; and at once when a name is missing. */
export function needsRenewal(held: Held | undefined, wanted: readonly DnsName[], now: Date): boolean {
  if (held === undefined || missing(held, wanted).length > 0) return true;
  const { validFrom, validTo } = new X509Certificate(held.certificate);
  return now.getTime() >= (Date.parse(validFrom) + Date.parse(validTo)) / 2;
}

const missing = ({ names }: Held, wanted: readonly DnsName[]) => wanted.filter((name) => !names.includes(name));

async function ensureKey(file: string): Promise<string> {
  const found = await readFileIfPresent(file);
  if (found !== undefined) return found;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const made = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeFileAtomically(file, made);
  return made;
}

/** One that is damaged, or for another key, counts as none. */
async function readHeld(file: string, key: string): Promise<IssuedCertificate | undefined> {
  try {
    const held = v.parse(IssuedCertificate, JSON.parse((await readFileIfPresent(file)) ?? ''));
    return fits(held, key) ? held : undefined;
  } catch {
    return undefined;
  }
}

function fits({ certificate }: Pick<IssuedCertificate, 'certificate'>, key: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
}

/** Made by the openssl program, without the machine's own settings. The master puts in the names. */
const requestFor = ({ run, keyFile, node }: Pick<CertificateOptions, 'run' | 'keyFile' | 'node'>) =>
  run(['openssl', 'req', '-new', '-config', '/dev/null', '-key', keyFile, '-subj', `/CN=${node}`]);
