import { writeSync } from 'node:fs';
import type { Command } from 'commander';
import * as v from 'valibot';
import { AcmeSettings, letsEncrypt, removeAcmeSettings, writeAcmeSettings } from './acme/settings.ts';
import { parseListen } from './decisions/listen.ts';
import { masterPaths } from './state/layout.ts';
import { audit } from './store/audit.ts';
import { openStore } from './store/open.ts';
import { readSettings } from './store/settings.ts';

type EnableWords = {
  stateDir: string;
  email: string;
  agreeTos?: true;
  directory: string;
  authorityFile?: string;
  http: string;
};

/** `acme …` of the master's command line. A running master follows by itself. */
export function addAcmeCommands(program: Command): void {
  const acme = program.command('acme').description('a certificate for the public name from an authority (RFC 8555)');

  acme
    .command('enable')
    .description('order a certificate now, and again in good time before it runs out')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .requiredOption('--email <email>', 'where the authority may write to')
    .option('--agree-tos', "you agree to the authority's terms of service")
    .option('--directory <url>', 'the authority', letsEncrypt)
    .option('--authority-file <file>', "certificates (PEM) to check the authority's own server with")
    .option('--http <host:port>', 'where port 80 of the public name ends up on this machine', '0.0.0.0:80')
    .action(enable);

  acme
    .command('disable')
    .description('order no more; the certificate that is there stays')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .action(({ stateDir }: { stateDir: string }) => {
      removeAcmeSettings(masterPaths(stateDir));
      writeDown(stateDir, 'acme.disable', {});
      writeSync(1, '{"acme":"disabled"}\n');
    });
}

function enable({ stateDir, email, agreeTos, directory, authorityFile, http }: EnableWords): void {
  if (agreeTos !== true)
    throw new Error(`read the terms of service of ${new URL(directory).host}, and add --agree-tos`);
  const paths = masterPaths(stateDir);
  const store = openStore(paths.database);
  const name = new URL(readSettings(store).publicUrl).hostname;
  store.close();
  const wanted = { directory, name, email, http: parseListen(http), ...(authorityFile && { authorityFile }) };
  const settings = v.safeParse(AcmeSettings, wanted);
  if (!settings.success) {
    const [{ message, path }] = settings.issues;
    const key = path?.[0]?.key;
    throw new Error(
      key === 'name'
        ? `no authority certifies ${name}: the public URL has to have a public name`
        : `${key}: ${message}`,
    );
  }
  writeAcmeSettings(paths, settings.output);
  writeDown(stateDir, 'acme.enable', { name, email, directory });
  writeSync(1, `${JSON.stringify({ acme: 'enabled', name, directory })}\n`);
}

/** The settings are a file beside the database, so this stands beside the act and not in one transaction with it. */
function writeDown(stateDir: string, act: string, detail: Record<string, unknown>): void {
  const store = openStore(masterPaths(stateDir).database);
  store.write(() => audit(store, new Date(), { actor: "the master's machine", act, subject: 'master', detail }));
  store.close();
}
