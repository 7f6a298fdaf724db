import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { problems } from '#contract/problem.ts';
import { renderApiErrors } from './api-errors.ts';

const page = readFileSync(join(import.meta.dir, 'api-errors.md'), 'utf8');

describe('the page on refusals', () => {
  test('is what the contract says; after a change run: bun ops/docs/main.ts', () =>
    expect(page).toBe(renderApiErrors()));

  test.each(Object.entries(problems))('has a row for %s', (code, [status, title]) => {
    const [row, ...others] = page.split('\n').filter((line) => line.startsWith(`| \`${code}\` `));
    expect(others).toEqual([]);
    expect(row?.split('|').map((cell) => cell.trim())).toEqual(
      expect.arrayContaining([String(status), title, expect.stringMatching(/\S{3,}.*\.$/)]),
    );
  });
});
