import { type Command, Option } from 'commander';
import { readPassphrase, runMaster } from './local.ts';
import { type Column, showList, showOne } from './screen.ts';
import type { LocalSession, Session } from './session.ts';

type ListedKey = { use: string; notAfter: string; kid: string };
type RenewWords = {
  use?: string[];
  compromised: boolean;
  tls: boolean;
  tlsCert?: string;
  tlsKey?: string;
  recoveryFile?: string;
};
type CertificateWords = { email: string; agreeTos?: true; directory?: string; authorityFile?: string; http?: string };

const columns: Column<ListedKey>[] = [
  { title: 'USE', of: ({ use }) => use },
  { title: 'RUNS OUT', of: ({ notAfter }) => notAfter.slice(0, 10) },
  { title: 'KEY', of: ({ kid }) => kid },
];

const given = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);

export function addKeyCommands(program: Command, session: Session, localSession: LocalSession): void {
  const keys = program.command('keys').description('the keys that the master signs with, and its certificate');

  keys
    .command('list')
    .description('list the keys, and when they run out')
    .action(() => session(async ({ trust }, screen) => showList(screen, trust.keys, columns, 'There are no keys.')));

  keys
    .command('renew')
    .description("make new working keys, on the master's machine; it asks for the recovery passphrase")
    .addOption(
      new Option('--use <use...>', 'only the keys of these uses').choices([
        'tokens',
        'snapshots',
        'bundles',
        'releases',
      ]),
    )
    .option('--compromised', 'nothing that the keys before have signed counts any more, open codes included', false)
    .option('--tls', 'make a new key for TLS instead, with a self-signed certificate', false)
    .option('--tls-cert <file>', 'put this certificate (PEM) in place instead')
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--recovery-file <file>', 'a file with the recovery passphrase')
    .addHelpText(
      'after',
      `
The running master, nodes and devices follow by themselves.

Examples:
  postern keys renew                                   once a year
  postern keys renew --compromised                     somebody had access to the master's disk
  postern keys renew --tls-cert cert.pem --tls-key key.pem`,
    )
    .action((words: RenewWords) =>
      localSession(async (stateDir, screen) => {
        const passphrase = await readPassphrase(words.recoveryFile);
        const said = await runMaster(
          stateDir,
          [
            ...['keys', 'renew'],
            ...(words.use === undefined ? [] : ['--use', ...words.use]),
            ...(words.compromised ? ['--compromised'] : []),
            ...(words.tls ? ['--tls'] : []),
            ...given('--tls-cert', words.tlsCert),
            ...given('--tls-key', words.tlsKey),
          ],
          passphrase,
        );
        const { version } = JSON.parse(said) as { version: number };
        showOne(
          screen,
          JSON.parse(said),
          `The list of keys ${version} is in force. Nodes and devices follow by themselves.`,
        );
      }),
    );

  const certificate = program.command('certificate').description("the master's certificate, on its own machine");

  certificate
    .command('enable')
    .description('have an authority such as Let’s Encrypt certify the public name, and renew that in time (ACME)')
    .requiredOption('--email <email>', 'where the authority may write to')
    .option('--agree-tos', "you agree to the authority's terms of service")
    .option('--directory <url>', 'another authority than Let’s Encrypt')
    .option('--authority-file <file>', "certificates (PEM) to check the authority's own server with")
    .option('--http <host:port>', 'where port 80 of the public name ends up on this machine (0.0.0.0:80)')
    .addHelpText('after', '\nExample:\n  postern certificate enable --email admin@example.com --agree-tos')
    .action(({ email, agreeTos, directory, authorityFile, http }: CertificateWords) =>
      localSession(async (stateDir, screen) => {
        const options = [
          ...['--email', email, ...(agreeTos === true ? ['--agree-tos'] : [])],
          ...given('--directory', directory),
          ...given('--authority-file', authorityFile),
          ...given('--http', http),
        ];
        const said = JSON.parse(await runMaster(stateDir, ['acme', 'enable', ...options]));
        showOne(screen, said, `${said.name} will be certified by ${new URL(said.directory).host}, and again in time.`);
      }),
    );

  certificate
    .command('disable')
    .description('order no more certificates; the one that is there stays')
    .action(() =>
      localSession(async (stateDir, screen) => {
        const said = await runMaster(stateDir, ['acme', 'disable']);
        showOne(screen, JSON.parse(said), 'No more certificates are ordered.');
      }),
    );

  certificate
    .command('replace <cert>')
    .description('put a certificate (PEM) in place that was renewed for the same key')
    .action((cert: string) =>
      localSession(async (stateDir, screen) => {
        const said = await runMaster(stateDir, ['keys', 'certificate', '--tls-cert', cert]);
        showOne(screen, JSON.parse(said), 'The certificate is in place.');
      }),
    );
}
