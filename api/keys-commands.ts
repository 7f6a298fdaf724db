import { readFileSync, writeSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { KeyUse, TrustList } from '#contract/trust.ts';
import { masterPaths } from './state/layout.ts';
import { allUses, type NewTls, renewKeys, replaceCertificate } from './state/renew.ts';
import { audit } from './store/audit.ts';
import { openStore } from './store/open.ts';
import { readSettings } from './store/settings.ts';

type RenewWords = { stateDir: string; use?: KeyUse[]; compromised: boolean; tls: boolean } & TlsFiles;
type TlsFiles = { tlsCert?: string; tlsKey?: string };

/** `keys …` of the master's command line: what only who is on its machine may do. A running master follows by itself. */
export function addKeyCommands(program: Command): void {
  const keys = program.command('keys').description('the keys that the root key vouches for');

  keys
    .command('renew')
    .description('make new working keys; the recovery passphrase is read from standard input')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .addOption(new Option('--use <use...>', 'only the keys of these uses').choices(allUses))
    .option('--compromised', 'nothing that the keys before have signed counts any more, open codes included', false)
    .option('--tls', 'also make a new key for TLS, with a self-signed certificate', false)
    .option('--tls-cert <file>', 'put this certificate (PEM) in place')
    .option('--tls-key <file>', 'its key (PEM)')
    .action(renew);

  keys
    .command('certificate')
    .description('put a renewed certificate in place whose key the root has already listed')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .requiredOption('--tls-cert <file>', 'the certificate with its chain (PEM)')
    .option('--tls-key <file>', 'its key (PEM), if it is not here yet')
    .action(async ({ stateDir, tlsCert, tlsKey }: { stateDir: string; tlsCert: string; tlsKey?: string }) => {
      const paths = masterPaths(stateDir);
      const cert = readFileSync(tlsCert, 'utf8');
      const isListed = await replaceCertificate(paths, cert, tlsKey && readFileSync(tlsKey, 'utf8'));
      if (!isListed)
        throw new Error(
          `the root key does not vouch for the key of ${tlsCert}; give it with keys renew --tls-cert and --tls-key`,
        );
      writeDown(stateDir, 'keys.certificate', {});
      print({ certificate: 'replaced' });
    });
}

async function renew({ stateDir, use, compromised, tls, tlsCert, tlsKey }: RenewWords): Promise<void> {
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (tls && tlsCert !== undefined))
    throw new Error('give --tls alone, or both --tls-cert and --tls-key');
  const paths = masterPaths(stateDir);
  const newTls = await wantedTls(stateDir, tls, { tlsCert, tlsKey });
  const passphrase = (await Bun.stdin.text()).trim();
  const uses = use ?? (tls || tlsCert !== undefined ? [] : allUses);
  const options = { passphrase, uses, compromised, ...(newTls === undefined ? {} : { tls: newTls }) };
  const renewed = await renewKeys(paths, options, new Date());
  if (!renewed.ok) throw new Error('the passphrase does not open the root key; nothing was changed');
  writeDown(stateDir, 'keys.renew', { uses, compromised, tls: newTls !== undefined, version: renewed.list.version });
  print({ version: renewed.list.version, keys: dates(renewed.list), tls: renewed.list.tls });
}

async function wantedTls(stateDir: string, isMade: boolean, files: { [K in keyof TlsFiles]: string | undefined }) {
  const { tlsCert, tlsKey } = files;
  if (tlsCert !== undefined && tlsKey !== undefined)
    return { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') } satisfies NewTls;
  if (!isMade) return undefined;
  const store = openStore(masterPaths(stateDir).database);
  const { publicUrl } = readSettings(store);
  store.close();
  return { make: new URL(publicUrl).hostname.replace(/^\[|\]$/g, '') } satisfies NewTls;
}

/** The files are not in the database, so this stands beside the act and not in one transaction with it. */
function writeDown(stateDir: string, act: string, detail: Record<string, unknown>): void {
  const store = openStore(masterPaths(stateDir).database);
  store.write(() => audit(store, new Date(), { actor: 'recovery passphrase', act, subject: 'master', detail }));
  store.close();
}

function dates({ keys }: TrustList) {
  return keys.map(({ use, kid, notAfter }) => ({ use, kid, notAfter }));
}

function print(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}
