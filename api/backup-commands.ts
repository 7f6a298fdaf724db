import { existsSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { masterPaths } from './state/layout.ts';

type RestoreWords = { stateDir: string; file: string; force: boolean; publicUrl?: string; endpoint?: string };

/**
 * `backup …`, `restore` and `promote` of the master's command line. What encrypts is loaded when it is needed: a master
 * that only serves does not carry it.
 */
export function addBackupCommands(program: Command, readUrl: (text: string) => string): void {
  const backup = program.command('backup').description('all that a new machine needs, in one encrypted file');

  backup
    .command('create')
    .description('make a backup while the master runs; where no key for backups is kept yet, it takes the passphrase')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .requiredOption('--out <file>', 'the file to write')
    .action(async ({ stateDir, out }: { stateDir: string; out: string }) => {
      const { createBackup, keepBackupRecipient } = await import('./state/backup.ts');
      if (needsPassphrase(stateDir) && !(await keepBackupRecipient(stateDir, await readPassphrase())))
        throw new Error('the passphrase does not open the root key; nothing was written');
      print(await createBackup(stateDir, out, new Date()));
    });

  backup
    .command('needs-passphrase')
    .description('whether `create` takes the recovery passphrase from standard input')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .action(({ stateDir }: { stateDir: string }) => print({ needsPassphrase: needsPassphrase(stateDir) }));

  backup
    .command('verify')
    .description('read a backup to its end; the recovery passphrase is read from standard input')
    .requiredOption('--file <file>', 'the backup')
    .action(async ({ file }: { file: string }) => {
      const { verifyBackup } = await import('./state/backup.ts');
      print(await verifyBackup(file, await readPassphrase()));
    });

  program
    .command('restore')
    .description('be the master of a backup, in a new epoch; the recovery passphrase is read from standard input')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .requiredOption('--file <file>', 'the backup')
    .option('--public-url <url>', 'how devices reach the master from now on', readUrl)
    .option('--endpoint <host:port>', 'how devices reach the node of this machine from now on')
    .option('--force', 'put a master that is here aside', false)
    .action(async ({ ...words }: RestoreWords) => {
      const { restoreBackup } = await import('./state/restore.ts');
      print(await restoreBackup({ ...words, passphrase: await readPassphrase() }, new Date()));
    });

  program
    .command('promote')
    .description('have the copy of a database go on as the master, in a new epoch above all that nodes have shown it')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .action(async ({ stateDir }: { stateDir: string }) => {
      const { promote } = await import('./state/promote.ts');
      print(promote(stateDir, new Date()));
    });
}

function needsPassphrase(stateDir: string): boolean {
  return !existsSync(masterPaths(stateDir).backupRecipient);
}

async function readPassphrase(): Promise<string> {
  return (await Bun.stdin.text()).trim();
}

function print(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}
