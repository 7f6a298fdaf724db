import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decrypter } from 'age-encryption';
import { backupIdentity } from './keys/backup-key.ts';
import { unpackBackup } from './state/backup.ts';
import { BackupError } from './state/backup-file.ts';
import { type Initialised, newInstallation, newStateDir, removeStateDirs, run, serving } from './test-kit/processes.ts';

afterAll(removeStateDirs);

const installation = await newInstallation();
/** What stands beside the master on its machine. */
const beside: Record<string, string> = {
  'config.json': '{"node":"n1"}',
  'owner.token': installation.ownerToken,
  'agent/config.json': '{"node":"n1"}',
  'agent/wg0.key': 'the key of n1',
  'agent/added-some-day.json': '{}',
  'master/keys/added-some-day.pem': 'a key',
};
const notOfUse: Record<string, string> = {
  'logs/master.log': 'a log',
  'agent/snapshot.jws': 'a cache',
  'agent/found.json': 'what this machine was like',
  'backups/older.backup': 'a backup',
  'supervisor.json': '{}',
  'config.json.new': 'a draft',
};
for (const [path, text] of Object.entries({ ...beside, ...notOfUse })) {
  mkdirSync(join(installation.stateDir, path, '..'), { recursive: true });
  writeFileSync(join(installation.stateDir, path), text, { mode: 0o600 });
}

const create = (stateDir: string, out: string) => run(['backup', 'create', '--state-dir', stateDir, '--out', out]);
const verify = (file: string, passphrase = installation.recoveryPassphrase) =>
  run(['backup', 'verify', '--file', file], passphrase);
const restore = (file: string, stateDir: string, ...more: string[]) =>
  run(['restore', '--state-dir', stateDir, '--file', file, ...more], installation.recoveryPassphrase);
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
const newFile = () => join(newStateDir(), 'postern.backup');

const identity = await backupIdentity(installation.recoveryPassphrase);
const good = newFile();
const made = await create(installation.stateDir, good);

describe('a backup', () => {
  test('holds all that is needed, what is added some day too, and nothing else', async () => {
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const stateDir = newStateDir();
    expect(await restore(good, stateDir)).toMatchObject({ status: 0, stderr: '' });
    for (const [path, text] of Object.entries(beside)) expect(readFileSync(join(stateDir, path), 'utf8')).toBe(text);
    for (const path of Object.keys(notOfUse))
      expect({ path, is: existsSync(join(stateDir, path)) }).toEqual({ path, is: false });
    const master = filesIn(join(installation.stateDir, 'master')).filter(
      (path) => !/postern\.db-|serving\.lock/.test(path),
    );
    expect(filesIn(join(stateDir, 'master'))).toEqual(master);
    for (const path of filesIn(stateDir)) expect(statSync(join(stateDir, path)).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('is readable by its owner alone, overwrites nothing and leaves no draft', async () => {
    expect(statSync(good).mode & 0o777).toBe(0o600);
    const again = await create(installation.stateDir, good);
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('exists already') });
    expect(readdirSync(installation.stateDir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('shows nothing of what is in it', () => {
    const bytes = readFileSync(good);
    for (const secret of ['the key of n1', installation.ownerToken, 'ana@example.com', 'SQLite format', 'ustar'])
      expect(bytes.includes(secret)).toBe(false);
  });

  test('opens with age, and is a tar archive', async () => {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const archive = Buffer.from(await decrypter.decrypt(new Uint8Array(readFileSync(good))));
    const child = Bun.spawn(['tar', 't'], { stdin: archive, stdout: 'pipe' });
    expect((await child.stdout.text()).split('\n')).toEqual(
      expect.arrayContaining(['manifest.jws', 'master/postern.db']),
    );
  });

  test('is found whole by verify, which says what it is of', async () => {
    const { status, stdout } = await verify(good);
    expect({ status, said: JSON.parse(stdout) }).toMatchObject({
      status: 0,
      said: { epoch: 1, revision: 1, users: 1, devices: 0, rootThumbprint: installation.rootThumbprint },
    });
  });

  const size = statSync(good).size;
  const bytes = readFileSync(good);
  const flipped = (at: number) => {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    return changed;
  };
  const damages: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['cut in its header', bytes.subarray(0, 100)],
    ['cut in its first piece', bytes.subarray(0, 1_000)],
    ['cut where a piece ends', bytes.subarray(0, bytes.length - ((size - headerLength()) % 65_552))],
    ['cut by one byte', bytes.subarray(0, size - 1)],
    ['longer by one byte', Buffer.concat([bytes, Buffer.from('x')])],
    ['altered in its header', flipped(60)],
    ['altered in the middle', flipped(Math.floor(size / 2))],
    ['altered in its last byte', flipped(size - 1)],
    ['something else', Buffer.from('not a backup'.repeat(1_000))],
  ];
  test.each(damages)('that is %s is refused', async (_, content) => {
    const file = newFile();
    writeFileSync(file, content);
    const refusal = await unpackBackup(file, identity, () => undefined).catch((error: Error) => error);
    expect(refusal).toBeInstanceOf(BackupError);
    expect(refusal).toMatchObject({ message: expect.stringContaining(file) });
  });

  test('that is damaged at its very end leaves nothing behind', async () => {
    const file = newFile();
    writeFileSync(file, flipped(size - 1));
    const stateDir = newStateDir();
    const [looked, restored] = await Promise.all([verify(file), restore(file, stateDir)]);
    for (const { status, stdout, stderr } of [looked, restored])
      expect({ status, stdout, stderr }).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining(file),
      });
    expect(readdirSync(stateDir)).toEqual([]);
  });

  /** The text that age begins with, up to the line of its MAC, and the nonce of the payload. */
  function headerLength(): number {
    const start = readFileSync(good).indexOf('\n--- ');
    return readFileSync(good).indexOf('\n', start + 1) + 1 + 16;
  }

  test('does not open with another passphrase', async () => {
    expect(await verify(good, 'another')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('The recovery passphrase does not open'),
    });
  });

  test('by somebody who only knows the public key is refused', async () => {
    const other = await newInstallationOf('mallory');
    writeFileSync(
      join(other.stateDir, 'master/backup-recipient.txt'),
      readFileSync(join(installation.stateDir, 'master/backup-recipient.txt')),
    );
    const file = newFile();
    await create(other.stateDir, file);
    const stateDir = newStateDir();
    expect(await restore(file, stateDir)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('another root key'),
    });
    expect(readdirSync(stateDir)).toEqual([]);
  });

  test('of a master from before there were backups takes the passphrase once', async () => {
    const older = await newInstallation();
    await Bun.file(join(older.stateDir, 'master/backup-recipient.txt')).delete();
    const out = newFile();
    const words = ['backup', 'create', '--state-dir', older.stateDir, '--out', out];
    expect(await run(words, 'another')).toMatchObject({ status: 1, stderr: expect.stringContaining('does not open') });
    expect(existsSync(out)).toBe(false);
    expect(await run(words, older.recoveryPassphrase)).toMatchObject({ status: 0 });
    expect((await verify(out)).status).toBe(0);
    expect((await create(older.stateDir, newFile())).status).toBe(0);
  });
});

/** A master of its own, with another root. */
async function newInstallationOf(owner: string): Promise<Initialised> {
  const stateDir = newStateDir();
  const words = [
    '--pool',
    '10.91.64.0/18',
    '--owner',
    `${owner}@example.com`,
    '--public-url',
    'https://127.0.0.1:8443',
  ];
  return { stateDir, ...JSON.parse((await run(['init', '--state-dir', stateDir, ...words])).stdout) };
}

describe('a restore', () => {
  test('of a backup made in the midst of writing has all of an act or nothing, and goes on', async () => {
    const busy = await newInstallation();
    const master = await serving(busy.stateDir);
    let isOver = false;
    let acked = 0;
    const add = () => ({ email: `p${acked}@example.com`, role: 'developer' });
    const writing = (async () => {
      while (!isOver) {
        expect((await master.send('POST', '/v1/users', busy.ownerToken, add())).status).toBe(201);
        acked += 1;
      }
    })();
    while (acked < 20) await Bun.sleep(5);
    const ackedBefore = acked;
    const file = newFile();
    expect(await create(busy.stateDir, file)).toMatchObject({ status: 0 });
    const ackedAfter = acked;
    isOver = true;
    await writing;
    const code = await master.send('POST', '/v1/users', busy.ownerToken, { email: 'z@example.com', role: 'developer' });
    expect(code.status).toBe(201);
    await master.stop();

    const stateDir = newStateDir();
    const { stdout } = await restore(file, stateDir, '--public-url', 'https://new.example.com');
    const said = JSON.parse(stdout);
    expect(said.users - 1).toBeGreaterThanOrEqual(ackedBefore);
    expect(said.users - 1).toBeLessThanOrEqual(ackedAfter + 1);
    expect(said).toMatchObject({ epoch: 2, revision: said.backup.revision + 1, publicUrl: 'https://new.example.com' });
    const restored = await serving(stateDir);
    const status = await restored.send('GET', '/v1/master', busy.ownerToken);
    expect(status.body).toMatchObject({
      epoch: 2,
      publicUrl: 'https://new.example.com',
      superseded: null,
      life: { cause: 'restore', from: { epoch: 1, revision: said.backup.revision } },
    });
    expect((await restored.send('GET', '/v1/users?limit=1', busy.ownerToken)).status).toBe(200);
    expect(
      (await restored.send('POST', '/v1/users', busy.ownerToken, { email: 'n@example.com', role: 'admin' })).status,
    ).toBe(201);
    await restored.stop();
  });

  test('leaves a master that is there alone, unless it is told to put it aside', async () => {
    const there = await newInstallation();
    const before = filesIn(there.stateDir);
    expect(await restore(good, there.stateDir)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--force'),
    });
    expect(filesIn(there.stateDir)).toEqual(before);
    const { status, stdout } = await restore(good, there.stateDir, '--force');
    expect(status).toBe(0);
    expect(filesIn(JSON.parse(stdout).putAside)).toContain('postern.db');
  });

  test('on a machine that is a node lets it be that node', async () => {
    const stateDir = newStateDir();
    mkdirSync(join(stateDir, 'agent'));
    writeFileSync(join(stateDir, 'agent/config.json'), '{"node":"n2"}');
    expect(await restore(good, stateDir)).toMatchObject({ status: 0 });
    expect(filesIn(join(stateDir, 'agent'))).toEqual(['config.json']);
    expect(readFileSync(join(stateDir, 'agent/config.json'), 'utf8')).toContain('n2');
  });

  test.each([[300], [600]])('killed after %d ms leaves a whole master or none, and is done again', async (ms) => {
    const stateDir = newStateDir();
    const words = ['restore', '--state-dir', stateDir, '--file', good];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), ...words], {
      stdin: Buffer.from(installation.recoveryPassphrase),
      stdout: 'ignore',
      stderr: 'ignore',
    });
    await Bun.sleep(ms);
    child.kill('SIGKILL');
    await child.exited;
    if (!existsSync(join(stateDir, 'master'))) expect(await restore(good, stateDir)).toMatchObject({ status: 0 });
    const master = await serving(stateDir);
    expect((await master.send('GET', '/v1/master', installation.ownerToken)).body).toMatchObject({ epoch: 2 });
    await master.stop();
    expect(readdirSync(stateDir).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

test('a promotion begins a new epoch, which the running master shows', async () => {
  const { stateDir, ownerToken } = await newInstallation();
  const master = await serving(stateDir);
  const { stdout } = await run(['promote', '--state-dir', stateDir]);
  expect(JSON.parse(stdout)).toEqual({ epoch: 2, revision: 2, from: { epoch: 1, revision: 1 } });
  expect((await master.send('GET', '/v1/master', ownerToken)).body).toMatchObject({
    epoch: 2,
    life: { cause: 'promote', from: { epoch: 1, revision: 1 } },
  });
  await master.stop();
});
