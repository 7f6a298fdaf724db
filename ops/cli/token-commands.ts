import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { type ApiToken, IssuedToken, TokenArea, TokenPermission } from '#contract/token.ts';
import { findToken, findUser, listTokens } from './find.ts';
import { runMaster } from './local.ts';
import { withPrivateFile } from './private-file.ts';
import { ago, ahead, type Column, showList, showOne } from './screen.ts';
import { readSeconds } from './seconds.ts';
import type { LocalSession, Session } from './session.ts';

const columns: Column<ApiToken>[] = [
  { title: 'NAME', of: (token) => token.name },
  { title: 'USER', of: (token) => token.email },
  { title: 'PERMISSION', of: (token) => token.permission },
  { title: 'AREAS', of: ({ areas }) => areas?.join(', ') ?? 'all' },
  { title: 'USED', of: (token) => ago(token.lastUsedAt, new Date()) },
  { title: 'ENDS', of: ({ expiresAt }) => endOf(expiresAt, new Date()) },
  { title: 'ID', of: (token) => token.id },
];

const Recovered = v.object({ token: v.string(), email: v.string(), expiresAt: v.string() });

type AddOptions = {
  permission: string;
  area?: string[];
  user?: string;
  for?: number;
  until?: string;
  save?: string;
};

export function addTokenCommands(program: Command, session: Session, localSession: LocalSession): void {
  const token = program
    .command('token')
    .description('what scripts show to the master; each has an end and may do little');

  token
    .command('add <name>')
    .description('make a token; it is shown this once')
    .addOption(
      new Option('--permission <permission>', 'what it may do at most')
        .choices(TokenPermission.options)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--area <area...>', 'the parts of the API it is good for (all)').choices(TokenArea.options))
    .option('--user <user>', 'whose it becomes, by e-mail address; only owners make tokens for others')
    .addOption(new Option('--for <seconds>', 'how long it lasts (90 days)').argParser(readSeconds).conflicts('until'))
    .option('--until <moment>', 'when it ends, such as 2026-12-31T18:00:00Z')
    .option('--save <file>', 'write it there, readable by you alone, instead of showing it')
    .addHelpText(
      'after',
      `
Examples:
  postern token add onboarding --permission operator --area users codes --save onboarding.token
  postern token add ana-laptop --permission auditor --user ana@example.com --for 604800`,
    )
    .action((name: string, options: AddOptions) =>
      session(async (master, screen) => {
        const holder = options.user === undefined ? undefined : await findUser(master, options.user);
        const add = () =>
          master.call(IssuedToken, 'POST', '/v1/tokens', {
            name,
            permission: options.permission,
            ...(options.area === undefined ? {} : { areas: options.area }),
            ...(options.for === undefined ? {} : { expiresIn: options.for }),
            ...(options.until === undefined ? {} : { expiresAt: options.until }),
            ...(holder === undefined ? {} : { userId: holder.id }),
          });
        const { token: secret, ...made } =
          options.save === undefined ? await add() : await withPrivateFile(options.save, add, (one) => one.token);
        const what = `A token of ${made.email}, ${made.permission} for ${made.areas?.join(', ') ?? 'all areas'}, until ${made.expiresAt}`;
        if (options.save === undefined) {
          showOne(screen, { ...made, token: secret }, `${what}. It is shown this once:\n\n  ${secret}`);
          return;
        }
        showOne(screen, made, `${what}, is in ${options.save}. Use it with --token-file ${options.save}`);
      }),
    );

  token
    .command('list')
    .description('list your tokens; for owners those of all')
    .option('--user <user>', 'only those of this user')
    .action(({ user }: { user?: string }) =>
      session(async (master, screen) => {
        const filters = user === undefined ? {} : { userId: (await findUser(master, user)).id };
        showList(screen, await listTokens(master, filters), columns, 'There are no tokens.');
      }),
    );

  token
    .command('revoke <token>')
    .description('revoke a token, by name or id; it is void at once')
    .addHelpText('after', '\nExample:\n  postern token revoke onboarding')
    .action((word: string) =>
      session(async (master, screen) => {
        const { id, name, email } = await findToken(master, word);
        await master.call(v.undefined(), 'DELETE', `/v1/tokens/${id}`);
        showOne(screen, { revoked: id }, `The token ${name} of ${email} is revoked.`);
      }),
    );

  token
    .command('recover <owner>')
    .description("make an owner who has no token left one for a day, on the master's machine")
    .requiredOption('--save <file>', 'write it there, readable by you alone')
    .addHelpText('after', '\nExample:\n  postern token recover ana@example.com --save ana.token')
    .action((owner: string, { save }: { save: string }) =>
      localSession(async (stateDir, screen) => {
        const made = await withPrivateFile(
          save,
          async () =>
            v.parse(Recovered, JSON.parse(await runMaster(stateDir, ['tokens', 'recover', '--owner', owner]))),
          (one) => one.token,
        );
        const { token: _, ...shown } = made;
        showOne(
          screen,
          shown,
          `A token of ${made.email}, until ${made.expiresAt}, is in ${save}. Make another with it now.`,
        );
      }),
    );
}

function endOf(expiresAt: string | null, now: Date): string {
  if (expiresAt === null) return 'never';
  return expiresAt <= now.toISOString() ? 'over' : ahead(expiresAt, now);
}
