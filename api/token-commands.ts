import { existsSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { masterPaths } from './state/layout.ts';
import { addToken } from './store/api-tokens.ts';
import { openStore, type Store } from './store/open.ts';
import { findUserByEmail } from './store/users.ts';

/** Long enough to make another one over the API; short, because nobody but the machine vouched for who asked. */
const recoveredMilliseconds = 86_400_000;

/** `tokens …` of the master's command line: the way in for who is on its machine and has no token left. */
export function addTokenCommands(program: Command): void {
  const tokens = program.command('tokens').description('API tokens');

  tokens
    .command('recover')
    .description('make an owner a token for a day; prints one line of JSON with the token, which is shown this once')
    .requiredOption('--state-dir <dir>', 'where this node keeps its state')
    .requiredOption('--owner <email>', 'whose it becomes: a user with the permission owner')
    .action(({ stateDir, owner }: { stateDir: string; owner: string }) => {
      const { database } = masterPaths(stateDir);
      if (!existsSync(database)) throw new Error(`there is no master in ${stateDir}`);
      const store = openStore(database);
      try {
        writeSync(1, `${JSON.stringify(recover(store, owner.toLowerCase(), new Date()))}\n`);
      } finally {
        store.close();
      }
    });
}

function recover(store: Store, email: string, now: Date) {
  const user = findUserByEmail(store, email);
  if (user === undefined || user.disabled || user.permission !== 'owner')
    throw new Error(`${email} is no enabled user with the permission owner`);
  const expiresAt = new Date(now.getTime() + recoveredMilliseconds).toISOString();
  const wanted = { userId: user.id, name: 'recovered', permission: 'owner', areas: null, expiresAt } as const;
  const made = addToken(store, wanted, "the master's machine", now);
  if (!made.ok) throw new Error(made.detail ?? made.reason);
  store.flush();
  return { token: made.value.token, email: user.email, expiresAt };
}
