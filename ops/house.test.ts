import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importsOf } from './check/imports.ts';
import { repository, textFiles } from './check/repository.ts';
import { isForTests, violations } from './check/rules.ts';

const files = textFiles();
/** Without this file, whose samples break the rules on purpose. */
const sources = files.filter(({ path }) => /(?<!\.d)\.ts$/.test(path) && path !== 'ops/house.test.ts');
const scripts = files.filter(({ text }) => /^#!\/bin\/sh\n/.test(text) || /^# Sourced\b/.test(text));
const imports = sources.flatMap(({ path, text }) => importsOf(path, text));
const packageFile = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  packageManager: string;
  trustedDependencies: string[];
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

const forbiddenIn = (path: string, ...lines: string[]) => violations(importsOf(path, lines.join('\n'))).length > 0;

describe('the rules of who may import whom', () => {
  test('hold', () => {
    expect(imports.length).toBeGreaterThan(200);
    const told = violations(imports).map(({ from, to, why }) => `${from} imports ${to}: ${why}`);
    expect(told).toEqual([]);
  });

  test.each([
    ['contract/a.ts', "import { x } from 'jose';"],
    ['contract/a.ts', "import { x } from '#policies/desired/peers.ts';"],
    ['contract/a.test.ts', "import { x } from '../api/app.ts';"],
    ['policies/desired/a.ts', "import type { x } from '../../api/app.ts';"],
    ['policies/desired/a.ts', "import { readFileSync } from 'node:fs';"],
    ['api/a.ts', "import {\n  x,\n  y,\n} from '../agent/plan/peers.ts';"],
    ['agent/a.test.ts', "export { x } from '../client-script/join.ts';"],
    ['client-script/a.ts', "const x = await import('../contract/../api/app.ts');"],
    ['client-script/a.ts', "import '#policies/desired/peers.ts';"],
    ['client-script/platform/a.ts', "import { spawn } from 'bun';"],
    ['ops/setup/a.ts', "import { initialise } from '../../api/state/init.ts';"],
    ['ops/cli/a.ts', "import { statePaths } from '../setup/state.ts';"],
    ['ops/lab-kit/scenarios/a.ts', "import { openMaster } from '../../cli/master.ts';"],
    ['ops/cli/a.ts', "import { evaluate } from '#policies/meaning/evaluate.ts';"],
    ['api/a.test.ts', "import './main.ts';"],
    ['api/decisions/a.ts', "import { openStore } from '../store/open.ts';"],
    ['agent/plan/a.ts', "import { connect } from 'node:net';"],
    ['api/store/a.ts', "import { userRoutes } from '../routes/users.ts';"],
    ['api/routes/a.ts', "import { Database } from 'bun:sqlite';"],
  ])('forbid in %s: %s', (path, line) => expect(forbiddenIn(path, line)).toBe(true));

  test.each([
    ['contract/a.ts', "import * as v from 'valibot';"],
    ['contract/a.test.ts', "import { test } from 'bun:test';"],
    ['agent/plan/a.ts', "import { desiredPeers } from '#policies/desired/peers.ts';"],
    ['agent/system/a.ts', "import { planPeers } from '../plan/peers.ts';"],
    ['api/store/a.ts', "import { Database } from 'bun:sqlite';"],
    ['ops/setup/a.ts', "import { openMaster } from '../cli/master.ts';"],
    ['ops/lab-kit/scenarios/a.ts', "import { evaluate } from '#policies/meaning/evaluate.ts';"],
    ['policies/fixture/a.ts', "import fc from 'fast-check';"],
    ['api/a.ts', "// It was once: import { x } from '../agent/plan/peers.ts'"],
  ])('allow in %s: %s', (path, line) => expect(forbiddenIn(path, line)).toBe(false));
});

test('the client uses nothing that only Bun has', () => {
  const own = sources.filter(({ path }) => /^client-script\/(?!fixture\/)/.test(path) && !path.endsWith('.test.ts'));
  expect(own.length).toBeGreaterThan(10);
  const named = own.filter(({ text }) => /\bBun\.[a-z]|\bimport\.meta\.(?:dir|main)\b/.test(text));
  expect(named.map(({ path }) => path)).toEqual([]);
});

describe('libraries', () => {
  const isLibrary = (to: string) => !/^(?:node:|bun(?::|$)|contract\/|policies\/)|\.ts$/.test(to);
  const nameOf = (to: string) => to.split('/', to.startsWith('@') ? 2 : 1).join('/');
  const pathOf = new Set(files.map(({ path }) => path));
  const used = imports.filter(({ to }) => isLibrary(to) && !pathOf.has(to));

  test('are named in package.json, those that programs need among its dependencies', () => {
    expect(used.length).toBeGreaterThan(20);
    const { dependencies, devDependencies } = packageFile;
    const missing = used.filter(({ from, to }) => {
      return !(nameOf(to) in dependencies) && !(isForTests(from) && nameOf(to) in devDependencies);
    });
    expect(missing).toEqual([]);
  });

  test('are pinned to one version each', () => {
    const ranges = Object.entries({ ...packageFile.dependencies, ...packageFile.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(ranges).toEqual([]);
  });

  test('run nothing of theirs while they are installed: some would report it to their makers', () =>
    expect(packageFile.trustedDependencies).toEqual([]));

  test('come from wherever the machine gets its packages: the lock names no address', () => {
    expect(existsSync(join(repository, 'bun.lock'))).toBe(true);
    expect(readFileSync(join(repository, 'bun.lock'), 'utf8')).not.toMatch(/:\/\//);
  });
});

test('only package.json names the version of Bun', () => {
  const version = packageFile.packageManager.replace(/^bun@/, '');
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(packageFile.devDependencies['@types/bun']).toBe(version);
  const named = new RegExp(`(?<![\\d.])${version.replaceAll('.', '\\.')}(?![\\d.])`);
  const others = files.filter(({ path, text }) => !/^(?:package\.json|bun\.lock)$/.test(path) && named.test(text));
  expect(others.map(({ path }) => path)).toEqual([]);
});

test('no file names a package registry or a place on the machine it was written on', () => {
  const registry = /\bregistry\.[a-z0-9-]+\.|\bnpmjs\.|\bpypi\./i;
  const place = new RegExp(`(?<![\\w.:-])(?:${repository}|/(?:home|Users)/[a-z]+)/`);
  const named = files.filter(
    ({ path, text }) => path !== 'ops/house.test.ts' && (registry.test(text) || place.test(text)),
  );
  expect(named.map(({ path }) => path)).toEqual([]);
});

describe('shell scripts', () => {
  test('are found', () => expect(scripts.map(({ path }) => path)).toContain('ops/bootstrap.sh'));

  test.each(scripts.map(({ path }) => [path]))('%s parses as POSIX shell', async (path) => {
    const child = Bun.spawn(['sh', '-n', join(repository, path)], { stdout: 'pipe', stderr: 'pipe' });
    expect(`${await child.stderr.text()}${await child.exited}`).toBe('0');
  });
});
