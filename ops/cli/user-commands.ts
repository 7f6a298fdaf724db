import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { IssuedCode, User } from '#contract/admin.ts';
import { findUser, listUsers } from './find.ts';
import { type Column, showDetails, showList, showOne } from './screen.ts';
import { readSeconds } from './seconds.ts';
import type { Session } from './session.ts';

const columns: Column<User>[] = [
  { title: 'E-MAIL', of: (user) => user.email },
  { title: 'ROLE', of: (user) => user.role },
  { title: 'PERMISSION', of: (user) => user.permission },
  { title: 'STATE', of: (user) => (user.disabled ? 'disabled' : 'enabled') },
];

export function addUserCommands(program: Command, session: Session): void {
  const user = program.command('user').description('people: who they are and which role they have');

  user
    .command('add <email>')
    .description('add a user')
    .option('--role <role>', 'what the policy grants to', 'developer')
    .option('--permission <permission>', 'what the API allows: owner, operator, auditor or none')
    .addHelpText('after', '\nExample:\n  postern user add ana@example.com --role admin')
    .action((email: string, options: { role: string; permission?: string }) =>
      session(async (master, screen) => {
        const added = await master.call(User, 'POST', '/v1/users', { email, ...options });
        showOne(screen, added, `${added.email} has the role ${added.role} now. Next: postern code add ${added.email}`);
      }),
    );

  user
    .command('list')
    .description('list the users')
    .action(() =>
      session(async (master, screen) => showList(screen, await listUsers(master), columns, 'There are no users.')),
    );

  user
    .command('show <user>')
    .description('show a user, by e-mail address')
    .action((word: string) =>
      session(async (master, screen) => {
        showDetails(screen, await findUser(master, word), columns);
      }),
    );

  user
    .command('set <user>')
    .description('change role or permission, disable or enable')
    .option('--role <role>')
    .option('--permission <permission>')
    .addOption(new Option('--disable', 'close all access of this user, at once').conflicts('enable'))
    .option('--enable', 'open it again')
    .addHelpText('after', '\nExample:\n  postern user set ana@example.com --disable')
    .action(
      (
        word: string,
        { disable, enable, ...change }: { role?: string; permission?: string; disable?: true; enable?: true },
        command: Command,
      ) => {
        if (Object.keys(command.opts()).length === 0)
          command.error('error: say what to change: --role, --permission, --disable or --enable');
        return session(async (master, screen) => {
          const { id } = await findUser(master, word);
          const disabled = disable ? { disabled: true } : enable ? { disabled: false } : {};
          const changed = await master.call(User, 'PATCH', `/v1/users/${id}`, { ...change, ...disabled });
          const state = changed.disabled ? 'disabled' : 'enabled';
          showOne(
            screen,
            changed,
            `${changed.email}: role ${changed.role}, permission ${changed.permission}, ${state}.`,
          );
        });
      },
    );

  user
    .command('remove <user>')
    .description('remove a user with all devices and codes')
    .action((word: string) =>
      session(async (master, screen) => {
        const { id, email } = await findUser(master, word);
        await master.call(v.undefined(), 'DELETE', `/v1/users/${id}`);
        showOne(screen, { removed: email }, `${email} is removed, with all devices and codes.`);
      }),
    );

  program
    .command('code')
    .description('single-use codes that let one device in')
    .command('add <user>')
    .description('make a code for a user; it is shown this once')
    .option('--ttl <seconds>', 'how long it is valid: 60 to 2592000 (a day)', readSeconds)
    .option('--machine <seconds>', 'for a machine: its device leaves by itself that long after it joined', readSeconds)
    .addHelpText(
      'after',
      '\nExamples:\n  postern code add ana@example.com --ttl 3600\n  postern code add ci@example.com --machine 7200',
    )
    .action((word: string, { ttl, machine }: { ttl?: number; machine?: number }) =>
      session(async (master, screen) => {
        const { id, email } = await findUser(master, word);
        const device = machine === undefined ? {} : { device: { kind: 'machine', expiresIn: machine } };
        const issued = await master.call(IssuedCode, 'POST', `/v1/users/${id}/codes`, { ttl, ...device });
        const bold = (text: string) => (screen.isColoured ? `\x1b[1m${text}\x1b[0m` : text);
        const text = [
          `A code for ${email}, for one device, until ${issued.expiresAt}. It is shown this once:`,
          '',
          `  ${bold(issued.code)}`,
          '',
          'On the device, in a terminal, run this line and type the code when it asks:',
          '',
          issued.join.sh,
        ].join('\n');
        showOne(screen, issued, text);
      }),
    );
}
