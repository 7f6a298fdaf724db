import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The folder of the product: hosts see it at the same place. */
export const repository = resolve(import.meta.dir, '../..');

/** A host has these to itself, so what lies in them on the machine is hidden from it. */
const hidden = ['/tmp/', '/run/', '/root/'];

/** What a host must see of the machine nevertheless: the product and the programs that run it. */
export function keptFolders(): readonly string[] {
  const needed = [repository, dirname(realpathSync(process.execPath)), nodeFolder()];
  return needed.filter((folder) => hidden.some((start) => folder.startsWith(start)));
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
