import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The folder of the product: hosts see it at the same place. */
export const repository = resolve(import.meta.dir, '../..');

/** What a host must see of the machine wherever it lies: the product and the program that runs it. */
export function keptFolders(): readonly string[] {
  return [repository, dirname(realpathSync(process.execPath)), nodeFolder()];
}

/** The environment of every program in the lab: nothing of the caller's but the terminal's kind. */
export function hostEnvironment(): Record<string, string> {
  const tools = join(repository, '.tools/node_modules/.bin');
  return {
    PATH: `${tools}:${nodeFolder()}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/root',
    LANG: 'C.UTF-8',
    TERM: process.env.TERM ?? 'dumb',
  };
}

function nodeFolder(): string {
  const node = Bun.which('node');
  return node === null ? '/usr/bin' : dirname(realpathSync(node));
}
