import { describe, expect, test } from 'bun:test';
import { renderDiagnostics } from '#contract/diagnostic.ts';
import { compileFirewall } from '#policies/compile/compile.ts';
import { renderChains, renderSets } from '#policies/compile/render.ts';
import { checkSource } from '#policies/language/check.ts';
import { format } from '#policies/language/format.ts';
import { checkAgainstRoster } from '#policies/meaning/check-roster.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { runTests } from '#policies/meaning/run-tests.ts';
import { resolve } from '#policies/meaning/world.ts';

/** POSTERN_WRITE_EXPECTED=1 writes the compiled output anew; read the diff before you commit it. */
const write = process.env.POSTERN_WRITE_EXPECTED === '1';
const now = Date.UTC(2026, 10, 22, 12);
const folder = import.meta.dir;
const names = [...new Bun.Glob('*.policy').scanSync(folder)].map((name) => name.replace('.policy', '')).sort();

async function example(name: string) {
  const source = await Bun.file(`${folder}/${name}.policy`).text();
  const roster: PolicyRoster = await Bun.file(`${folder}/${name}.roster.json`).json();
  const checked = checkSource(source);
  if (!checked.ok) throw new Error(renderDiagnostics(source, checked.diagnostics, `${name}.policy`));
  return { source, world: resolve(checked.document, roster), warnings: checked.warnings };
}

describe.each(names)('%s', (name) => {
  test('is formatted', async () => {
    const { source } = await example(name);
    if (write) await Bun.write(`${folder}/${name}.policy`, format(source));
    else expect(format(source)).toBe(source);
  });

  test('is right, in its world and by its own tests', async () => {
    const { source, world } = await example(name);
    const errors = [...checkAgainstRoster(world, now), ...runTests(world, now)].filter(
      ({ severity }) => severity === 'error',
    );
    expect(renderDiagnostics(source, errors, `${name}.policy`)).toBe('');
  });

  test('compiles to what is expected, on every node', async () => {
    const { world } = await example(name);
    for (const { name: node } of world.roster.nodes) {
      const firewall = compileFirewall(world, { node, revision: 1 });
      const text = [
        '# sets',
        renderSets(firewall.sets, now),
        '# IPv4',
        renderChains(firewall, 4),
        '# IPv6',
        renderChains(firewall, 6),
        '# hooks',
        ...firewall.hooks.map(
          ({ family, table, from, to, ifPresent }) =>
            `${family} ${table} ${from} > ${to}${ifPresent ? ' where present' : ''}`,
        ),
        '',
      ].join('\n');
      const path = `${folder}/${name}.${node}.expected`;
      if (write) await Bun.write(path, text);
      else expect(text).toBe(await Bun.file(path).text());
    }
  });
});

test('the warnings of the examples are the ones they are there to show', async () => {
  const found: string[] = [];
  for (const name of names) {
    const { world, warnings } = await example(name);
    const all = [...warnings, ...checkAgainstRoster(world, now), ...runTests(world, now)];
    found.push(...all.map(({ line, code }) => `${name}:${line} ${code}`));
  }
  expect(found).toEqual(['contractors:18 run-out', 'phone-only:20 unknown-device', 'two-sites:7 nested-network']);
});
