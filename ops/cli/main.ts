import { Command } from 'commander';
import { addAuditCommands } from './audit-commands.ts';
import { addBackupCommands } from './backup-commands.ts';
import { type CredentialOptions, readCredentials } from './credentials.ts';
import { addDeviceCommands } from './device-commands.ts';
import { addKeyCommands } from './key-commands.ts';
import { openMaster, Refused } from './master.ts';
import { addNetworkCommands } from './network-commands.ts';
import { addNodeCommands } from './node-commands.ts';
import { addOutageCommands } from './outage-commands.ts';
import { addPolicyChangeCommands } from './policy-change-commands.ts';
import { addPolicyCommands } from './policy-commands.ts';
import { addPortCommands } from './port-commands.ts';
import type { Screen } from './screen.ts';
import { addServiceCommands } from './service-commands.ts';
import { exitCodes, explain, type LocalSession, type Session } from './session.ts';
import { addSettingsCommands } from './settings-commands.ts';
import { addStatusCommands } from './status-commands.ts';
import { addTokenCommands } from './token-commands.ts';
import { addUserCommands } from './user-commands.ts';
import { addWebhookCommands } from './webhook-commands.ts';

/** `postern`: what the API does, for people and scripts. Wiring only. */

const program = new Command('postern')
  .description(
    'Drives a Postern master: users, codes, devices, the policy, nodes, settings, tokens, webhooks, the audit log.',
  )
  .option('--json', 'print JSON', false)
  .option('--state-dir <dir>', 'where ops/up keeps its state', '/var/lib/postern')
  .option('--url <url>', 'the master, when it is not on this machine (or POSTERN_URL)')
  .option('--root <thumbprint>', 'thumbprint of its root key (or POSTERN_ROOT)')
  .option('--token-file <file>', 'a file with an API token, mode 0600 (or POSTERN_TOKEN_FILE)')
  .addHelpText(
    'after',
    `
Examples:
  postern user add ana@example.com --role developer
  postern code add ana@example.com
  postern device list
  postern network add internal 172.19.0.0/16 --dev br-internal
  postern policy explain ana@example.com internal
  postern policy explain ana@example.com internal tcp/443

Exit codes: 0 done, 1 failed, 2 words not understood, 3 refused by the master, 4 master not reached, 5 not our master.`,
  )
  .showHelpAfterError('(see --help)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.usage));

type Options = CredentialOptions & { json: boolean };

const session: Session = (act) =>
  shown(async (options, screen) => {
    const { url, root, token } = readCredentials(options, process.env);
    await act(await openMaster(url, root, token), screen);
  });

const localSession: LocalSession = (act) => shown(({ stateDir }, screen) => act(stateDir, screen));

async function shown(act: (options: Options, screen: Screen) => Promise<void>): Promise<void> {
  const options = program.opts<Options>();
  const { json } = options;
  const screen = {
    json,
    isColoured: process.stdout.isTTY,
    write: (text: string) => void process.stdout.write(`${text}\n`),
  };
  try {
    await act(options, screen);
  } catch (error) {
    const { lines, exitCode } = explain(error);
    const text = json && error instanceof Refused ? JSON.stringify(error.problem) : `postern: ${lines.join('\n')}`;
    process.stderr.write(`${text}\n`);
    process.exit(exitCode);
  }
}

addUserCommands(program, session);
addDeviceCommands(program, session);
addNetworkCommands(program, session);
addNodeCommands(program, session);
addOutageCommands(program, session);
addServiceCommands(program, session);
addPortCommands(program, session);
addPolicyChangeCommands(addPolicyCommands(program, session), session);
addKeyCommands(program, session, localSession);
addTokenCommands(program, session, localSession);
addAuditCommands(program, session);
addSettingsCommands(program, session);
addStatusCommands(program, session);
addWebhookCommands(program, session);
addBackupCommands(program, session, localSession);
// Subcommands are made with the defaults of their time: errors of theirs end with the same codes.
for (const command of descendants(program))
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.usage));
await program.parseAsync();

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}
