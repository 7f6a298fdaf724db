import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Glob } from 'bun';

export const repository = resolve(import.meta.dir, '../..');

const notOurs = /^(?:\.git|\.tools|node_modules)\//;

/** The repository's own text files: path from its root, and content. */
export function textFiles(): { path: string; text: string }[] {
  return [...new Glob('**/*').scanSync({ cwd: repository, dot: true })]
    .filter((path) => !notOurs.test(path) && !path.endsWith('.log'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(repository, path), 'utf8') }))
    .filter(({ text }) => !text.includes('\0'));
}
