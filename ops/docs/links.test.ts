import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repository, textFiles } from '../check/repository.ts';

const link = /\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g;
const links = textFiles()
  .filter(({ path }) => path.endsWith('.md'))
  .flatMap(({ path, text }) => [...text.matchAll(link)].map(([, to = '']): [string, string] => [path, to]));

test('the pages have links', () => expect(links.length).toBeGreaterThan(3));

test.each(links)('%s: the link to %s leads to a file', (from, to) =>
  expect(existsSync(join(repository, dirname(from), to))).toBe(true),
);
