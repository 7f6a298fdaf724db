import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import type { UpOptions } from './options.ts';
import { masterProgram } from './programs.ts';
import { type StatePaths, StateProblem } from './state.ts';

/**
 * Brings the certificate of a master that is there already to what is wanted now; the running master follows. One for
 * the same key is only put in place, another key has to be vouched for by the root.
 *
 * @returns whether anything changed.
 * @throws StateProblem when the recovery passphrase is needed.
 */
export async function putCertificateInPlace(paths: StatePaths, wanted: UpOptions): Promise<boolean> {
  const isReplaced = await replace(paths, wanted);
  return (await enableAcme(paths, wanted)) || isReplaced;
}

async function replace({ stateDir, master }: StatePaths, { tlsCert, tlsKey, recoveryFile }: UpOptions) {
  if (tlsCert === undefined || tlsKey === undefined) return false;
  if (readFileSync(join(master, 'tls/cert.pem')).equals(readFileSync(tlsCert))) return false;
  const files = ['--state-dir', stateDir, '--tls-cert', tlsCert, '--tls-key', tlsKey];
  const inPlace = await run(masterProgram('keys', 'certificate', ...files)).catch((error: Error) => error);
  if (!(inPlace instanceof Error)) return true;
  if (!inPlace.message.includes('does not vouch')) throw inPlace;
  if (recoveryFile === undefined || !existsSync(recoveryFile))
    throw new StateProblem(
      `${tlsCert} has another key than the certificate before, and the root key has to vouch for it: ` +
        'give --recovery-file with the recovery passphrase.',
    );
  const passphrase = readFileSync(recoveryFile, 'utf8').trim();
  await run(masterProgram('keys', 'renew', ...files), { stdin: passphrase });
  return true;
}

async function enableAcme({ stateDir, master }: StatePaths, { acme }: UpOptions): Promise<boolean> {
  const settings = join(master, 'acme.json');
  if (acme === undefined) return false;
  if (existsSync(settings) && (JSON.parse(readFileSync(settings, 'utf8')) as { email?: string }).email === acme)
    return false;
  await run(masterProgram('acme', 'enable', '--state-dir', stateDir, '--email', acme, '--agree-tos'));
  return true;
}
