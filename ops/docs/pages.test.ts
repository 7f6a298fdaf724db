import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repository, textFiles } from '../check/repository.ts';

const pages = textFiles().filter(({ path }) => path.endsWith('.md'));
const textOf = (path: string) => pages.find((page) => page.path === path)?.text ?? '';

const link = /\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g;
const links = pages.flatMap(({ path, text }) =>
  [...text.matchAll(link)].map(([, to = '']): [string, string] => [path, to]),
);

describe('the links of the pages', () => {
  test('are found', () => expect(links.length).toBeGreaterThan(3));

  test.each(links)('%s: %s is a file', (from, to) =>
    expect(existsSync(join(repository, dirname(from), to))).toBe(true),
  );
});

describe('the readme', () => {
  const readme = textOf('README.md');

  test('names every folder of the repository', () => {
    const folders = new Set(textFiles().flatMap(({ path }) => /^([a-z][^/]*)\//.exec(path)?.[1] ?? []));
    expect([...folders].filter((folder) => !readme.includes(`\`${folder}/\``))).toEqual([]);
  });

  test('has no line of prose too long to read in a terminal', () => {
    const isProse = (line: string) => !/^[|`]|^f=/.test(line) && line.length > 125;
    expect(readme.split('\n').filter(isProse)).toEqual([]);
  });

  /** What follows a command in the text, up to the end of its code. */
  const uses = [...readme.matchAll(/(?:^|[`$&] ?)postern ((?!-client)[^`&|\n]+)/gm)].map(([, words = '']) =>
    words.trim(),
  );

  test('shows uses of postern', () => expect(uses.length).toBeGreaterThan(5));

  test.each(uses)('postern %s is a command with these options', async (words) => {
    const command = words
      .split(' ')
      .filter((word) => /^[a-z]+$/.test(word))
      .slice(0, 2);
    const options = words.split(' ').filter((word) => word.startsWith('--'));
    const child = Bun.spawn([process.execPath, join(repository, 'ops/cli/main.ts'), ...command, '--help'], {
      stdout: 'pipe',
    });
    const [help, exitCode] = [await child.stdout.text(), await child.exited];
    expect(help).toContain(`Usage: ${['postern', ...command].join(' ')} `);
    const general = Bun.spawn([process.execPath, join(repository, 'ops/cli/main.ts'), '--help'], { stdout: 'pipe' });
    const known = `${help}${await general.stdout.text()}`;
    expect({ exitCode, unknown: options.filter((option) => !known.includes(option)) }).toEqual({
      exitCode: 0,
      unknown: [],
    });
  });
});

describe("the lab's page", () => {
  test('says of every scenario what its short form leaves out', async () => {
    const child = Bun.spawn([join(repository, 'ops/lab'), 'list'], { stdout: 'pipe', stderr: 'ignore' });
    const names = (await child.stdout.text()).split('\n').flatMap((line) => /^[a-z][a-z0-9-]*/.exec(line) ?? []);
    expect(names.length).toBeGreaterThan(2);
    const page = textOf('ops/lab-kit/README.md');
    expect(names.filter((name) => !new RegExp(`^\\| ${name} +\\| \\S`, 'm').test(page))).toEqual([]);
  });
});
