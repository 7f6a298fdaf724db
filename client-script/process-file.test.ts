import { afterEach, beforeEach, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { temporaryFolder } from './fixture/program.ts';
import { selectPlatform } from './platform/select.ts';
import { ProcessFile } from './process-file.ts';
import { StateFiles } from './state-files.ts';

let folder: ReturnType<typeof temporaryFolder>;
let files: StateFiles;
beforeEach(() => {
  folder = temporaryFolder();
  files = new StateFiles(folder.path);
});
afterEach(() => folder.remove());

const isLinux = process.platform === 'linux';
const why = 'reads /proc, which only Linux has';
const watcher = () => new ProcessFile(files, selectPlatform());

test.skipIf(!isLinux)(`a claim holds until it is released (${why})`, async () => {
  expect(await watcher().running()).toBeUndefined();
  expect(await watcher().claim()).toBe(true);
  expect([await watcher().running(), await watcher().isHeld()]).toEqual([process.pid, true]);
  await watcher().release();
  expect([await watcher().running(), existsSync(files.pidFile)]).toEqual([undefined, false]);
});

test.skipIf(!isLinux)(`a living watcher is not pushed aside, and stop ends it (${why})`, async () => {
  const other = spawn('sleep', ['60']);
  const ended = once(other, 'exit');
  await watcher().record(other.pid ?? 0);
  expect([await watcher().claim(), await watcher().running()]).toEqual([false, other.pid]);
  await watcher().stop();
  await ended;
  expect(await watcher().running()).toBeUndefined();
  await watcher().stop();
});

test.skipIf(!isLinux)(
  `another process with the number of an old watcher is neither taken for it nor ended (${why})`,
  async () => {
    const innocent = spawn('sleep', ['60']);
    writeFileSync(files.pidFile, JSON.stringify({ pid: innocent.pid, identity: 'another boot, another start' }));
    expect(await watcher().running()).toBeUndefined();
    await watcher().stop();
    expect(innocent.exitCode).toBeNull();
    expect(innocent.signalCode).toBeNull();
    expect(await watcher().claim()).toBe(true);
    innocent.kill();
  },
);

test.skipIf(!isLinux).each(['', '{', '{"pid":"1"}', '{"pid":1}'])(
  `a damaged file (%p) names nobody (${why})`,
  async (text) => {
    writeFileSync(files.pidFile, text);
    expect(await watcher().running()).toBeUndefined();
    expect(await watcher().claim()).toBe(true);
  },
);
