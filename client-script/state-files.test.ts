import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClientFailure } from './failure.ts';
import { newId } from './fixture/authority.ts';
import { temporaryFolder } from './fixture/program.ts';
import { StateFiles } from './state-files.ts';

let folder: ReturnType<typeof temporaryFolder>;
let files: StateFiles;
beforeEach(() => {
  folder = temporaryFolder();
  files = new StateFiles(join(folder.path, 'state'));
});
afterEach(() => folder.remove());

const membership = () => ({
  master: 'https://vpn.example.com:8443/',
  root: 'SCEWNCPfZWHzhGToGd9T-5n1QFI_xoh4d322QhR6r0w',
  deviceId: newId(),
  deviceName: 'laptop',
  reached: ['n1'],
});
const modeOf = (name = '') => statSync(join(files.directory, name)).mode & 0o777;

async function corruptFile(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ClientFailure && error.code === 'state-corrupt') return error.message;
  }
  return 'it was accepted';
}

describe('the state directory', () => {
  test('keys are made once and stay', async () => {
    await files.prepare();
    const keys = await files.loadOrMakeKeys();
    expect(await files.loadOrMakeKeys()).toEqual(keys);
    expect(await new StateFiles(files.directory).loadKeys()).toEqual(keys);
  });

  test('nobody else can read it, also when it was open before', async () => {
    mkdirSync(files.directory);
    chmodSync(files.directory, 0o755);
    await files.prepare();
    await files.loadOrMakeKeys();
    await files.saveMembership(membership());
    await files.saveSigned('bundle', 'a.b.c');
    await files.saveReport({});
    expect(modeOf()).toBe(0o700);
    for (const name of readdirSync(files.directory)) expect([name, modeOf(name)]).toEqual([name, 0o600]);
  });

  test('what is written is read back, and no draft stays', async () => {
    await files.prepare();
    const written = membership();
    for (const reached of [[], ['n1'], ['n1', 'n2']]) await files.saveMembership({ ...written, reached });
    expect(await files.membership()).toEqual({ ...written, reached: ['n1', 'n2'] });
    expect(readdirSync(files.directory)).toEqual(['device.json']);
  });

  test('nothing there is no membership', async () => expect(await files.membership()).toBeUndefined());

  test.each([
    ['device.json', '{"master":', () => files.membership()],
    ['device.json', '{}', () => files.membership()],
    ['device.json', '', () => files.membership()],
    ['wireguard.key', 'AAAA', () => files.loadOrMakeKeys()],
    ['wireguard.key', '', () => files.loadOrMakeKeys()],
    ['credential.jwk.json', '{"kty":"RSA"}', () => files.loadOrMakeKeys()],
  ])('%s with %p in it is named and left as it is', async (name, text, read) => {
    await files.prepare();
    writeFileSync(join(files.directory, name), text);
    expect(await corruptFile(read())).toContain(join(files.directory, name));
    expect(readFileSync(join(files.directory, name), 'utf8')).toBe(text);
  });

  test('all of it goes at once', async () => {
    await files.prepare();
    await files.loadOrMakeKeys();
    await files.removeAll();
    expect(readdirSync(folder.path)).toEqual([]);
    await files.removeAll();
  });
});
