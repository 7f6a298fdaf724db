import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { IssuedCode, User } from '#contract/admin.ts';
import type { EnrolmentLease } from '#contract/enrolment.ts';
import { loadState } from './state/load.ts';
import { credential, wireguardKey } from './test-kit/keys.ts';
import {
  initArguments,
  newInstallation,
  newStateDir,
  removeStateDirs,
  run,
  type ServingProcess,
  serveArguments,
  serving,
  start,
} from './test-kit/processes.ts';

/** What happens to the real program when the world is unkind to it. */

// Programs start slowly on a busy machine.
setDefaultTimeout(60_000);
afterAll(removeStateDirs);

const databaseOf = (stateDir: string) => join(stateDir, 'master', 'postern.db');

async function ask<T>(answer: ReturnType<ServingProcess['send']>, status: number): Promise<T> {
  const { status: got, body } = await answer;
  if (got !== status) throw new Error(`${got} ${JSON.stringify(body)}`);
  return body;
}

async function newCode(master: ServingProcess, token: string, email: string): Promise<string> {
  const user = await ask<User>(master.send('POST', '/v1/users', token, { email, role: 'developer' }), 201);
  return (await ask<IssuedCode>(master.send('POST', `/v1/users/${user.id}/codes`, token, {}), 201)).code;
}

async function newDevice(code: string) {
  return {
    code,
    publicKey: wireguardKey(),
    credentialKey: (await credential()).x,
    deviceName: 'laptop',
    platform: 'linux',
  };
}

/** Looks at the database from outside until `sql` finds something. */
async function untilStored<T>(database: string, sql: string): Promise<T> {
  const db = new Database(database, { readonly: true });
  try {
    for (let tries = 0; tries < 5_000; tries++) {
      const row = db.query<T, []>(sql).get();
      if (row !== null) return row;
      await Bun.sleep(1);
    }
  } finally {
    db.close();
  }
  throw new Error(`nothing was stored: ${sql}`);
}

describe('200 devices that redeem one code at once, from two processes', () => {
  test('exactly one has it', async () => {
    const { stateDir, ownerToken } = await newInstallation();
    const database = databaseOf(stateDir);
    const master = await serving(stateDir);
    const code = await newCode(master, ownerToken, 'ben@example.com');
    const client = async () => {
      const child = Bun.spawn(
        [process.execPath, join(import.meta.dir, 'test-kit', 'redeem-many.ts'), master.url, '100'],
        {
          stdin: Buffer.from(code),
          stdout: 'pipe',
          stderr: 'inherit',
        },
      );
      return JSON.parse(await child.stdout.text()) as number[];
    };
    const statuses = (await Promise.all([client(), client()])).flat();
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(199);
    await untilStored(database, 'SELECT id FROM devices');
    expect((await master.stop()).status).toBe(0);
    const db = new Database(database, { readonly: true });
    expect(db.query('SELECT count(*) AS n FROM devices').get()).toEqual({ n: 1 });
    db.close();
  });
});

describe('a master that is killed between commit and reply', () => {
  test('answers a repeated redemption and confirmation as if nothing had happened', async () => {
    const { stateDir, ownerToken } = await newInstallation();
    const database = databaseOf(stateDir);
    let master = await serving(stateDir);
    const code = await newCode(master, ownerToken, 'ben@example.com');
    // A node that never reports: a confirmation waits for it after its commit.
    const node = {
      name: 'n1',
      publicKey: wireguardKey(),
      agentKey: (await credential()).x,
      endpoints: ['198.51.100.1:51820'],
    };
    await ask(master.send('POST', '/v1/nodes', ownerToken, node), 201);

    const request = await newDevice(code);
    sendAndNeverRead(master.url, '/v1/enrolments', request);
    const stored = await untilStored<{ id: string; bundle_revision: number }>(
      database,
      'SELECT id, bundle_revision FROM devices',
    );
    await master.end('SIGKILL');

    master = await serving(stateDir);
    const lease = await ask<EnrolmentLease>(master.send('POST', '/v1/enrolments', undefined, request), 201);
    expect(lease.id).toBe(stored.id);
    expect((await master.send('POST', '/v1/enrolments', undefined, await newDevice(code))).status).toBe(409);

    const confirmation = { publicKey: request.publicKey, address: lease.address };
    const lost = master.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, confirmation).catch(() => 'lost');
    const { revision } = await untilStored<{ revision: number }>(
      database,
      'SELECT listed_revision AS revision FROM devices WHERE registered_at IS NOT NULL',
    );
    await master.end('SIGKILL');
    expect(await lost).toBe('lost');

    master = await serving(stateDir);
    const result = await ask(master.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, confirmation), 200);
    expect(result).toMatchObject({ deviceId: lease.id, pending: ['n1'], bundle: lease.bundle });
    expect(await ask(master.send('POST', '/v1/enrolments', undefined, request), 201)).toEqual(lease);
    expect(await ask(master.send('GET', '/healthz'), 200)).toMatchObject({ revision });
    await master.stop();
  });
});

describe.skipIf(process.getuid?.() !== 0)('a full disk (needs root, for a small file system of its own)', () => {
  test('is a 503, leaves nothing half done, and is over when there is room', async () => {
    const stateDir = newStateDir();
    // One namespace for both: the state is made on the small file system that it is served from.
    const script = `mount -t tmpfs -o size=1m none "$0" &&
      "$1" "$2" init --state-dir "$0" --pool 10.91.64.0/18 --owner ana@example.com --public-url https://127.0.0.1 >"$3" &&
      exec "$1" "$2" serve --state-dir "$0" --listen 127.0.0.1:0`;
    const said = join(newStateDir(), 'said.json');
    const child = Bun.spawn(
      ['unshare', '--mount', 'sh', '-c', script, stateDir, process.execPath, join(import.meta.dir, 'main.ts'), said],
      { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', env: { ...process.env } },
    );
    const master = await serving(stateDir, '', child);
    const { ownerToken } = JSON.parse(readFileSync(said, 'utf8'));
    const inside = join('/proc', String(master.pid), 'root', stateDir);
    const code = await newCode(master, ownerToken, 'ben@example.com');
    const request = await newDevice(code);

    fill(join(inside, 'filler'));
    const statuses: number[] = [];
    while (statuses.length < 500 && !statuses.includes(503)) {
      const body = { email: `user${statuses.length}@example.com`, role: 'developer' };
      statuses.push((await master.send('POST', '/v1/users', ownerToken, body)).status);
    }
    const made = statuses.filter((status) => status === 201).length;
    expect(statuses.at(-1)).toBe(503);
    expect(await master.send('POST', '/v1/enrolments', undefined, request)).toMatchObject({
      status: 503,
      body: { code: 'storage-unavailable' },
    });
    await Bun.sleep(1_050);
    expect((await master.send('GET', '/healthz')).status).toBe(503);
    const users = await ask<{ items: User[] }>(master.send('GET', '/v1/users', ownerToken), 200);
    expect(users.items).toHaveLength(2 + made);

    rmSync(join(inside, 'filler'));
    const lease = await ask<EnrolmentLease>(master.send('POST', '/v1/enrolments', undefined, request), 201);
    expect(lease.address).toBe('10.91.64.64');
    const health = await ask<{ revision: number }>(master.send('GET', '/healthz'), 200);
    expect(health.revision).toBe(2 + made);
    expect((await master.stop()).log).toContain('the database cannot be used at the moment');
  });
});

describe('init that is killed', () => {
  test('leaves a whole master or none, and the next one starts anew', async () => {
    const stateDir = newStateDir();
    const outcomes: string[] = [];
    for (const milliseconds of [0, 20, 60, 120, 180, 240, 300]) {
      const child = start(initArguments(stateDir));
      await untilListed(stateDir, (name) => name.startsWith('.master-draft-') || name === 'master');
      await Bun.sleep(milliseconds);
      child.kill('SIGKILL');
      await child.exited;
      const whole = existsSync(join(stateDir, 'master'));
      outcomes.push(whole ? 'whole' : 'none');
      if (whole) (await loadState(stateDir)).store.close();
      if (whole) rmSync(join(stateDir, 'master'), { recursive: true });
    }
    expect(outcomes).toContain('none');
    const last = await run(initArguments(stateDir));
    expect(JSON.parse(last.stdout)).toMatchObject({ created: true });
    expect(readdirSync(stateDir)).toEqual(['master']);
  });

  test('because nobody hears its secrets makes nothing', async () => {
    const stateDir = newStateDir();
    const child = Bun.spawn(
      [
        'sh',
        '-c',
        '"$@" >/dev/full',
        'sh',
        process.execPath,
        join(import.meta.dir, 'main.ts'),
        ...initArguments(stateDir),
      ],
      { stdout: 'ignore', stderr: 'pipe' },
    );
    expect(await child.exited).toBe(1);
    expect(readdirSync(stateDir)).toEqual([]);
  });
});

describe('damaged state is refused with a sentence', () => {
  const damages: [string, (folder: string) => void, RegExp][] = [
    ['no state', (folder) => rmSync(folder, { recursive: true }), /There is no master in/],
    ['a database with a torn page', (folder) => tear(join(folder, 'postern.db')), /postern\.db is damaged/],
    [
      'a database cut short',
      (folder) => truncateSync(join(folder, 'postern.db'), 50_000),
      /postern\.db (is damaged|cannot be read)/,
    ],
    ['a database of zeros', (folder) => writeFileSync(join(folder, 'postern.db'), Buffer.alloc(8192)), /postern\.db/],
    ['an empty database', (folder) => writeFileSync(join(folder, 'postern.db'), ''), /postern\.db/],
    ['no database', (folder) => rmSync(join(folder, 'postern.db')), /postern\.db/],
    ['half a trust list', (folder) => truncateSync(join(folder, 'trust.jws'), 400), /trust\.jws is damaged/],
    [
      'half a key',
      (folder) => truncateSync(join(folder, 'keys', 'tokens.jwk.json'), 90),
      /tokens\.jwk\.json is damaged/,
    ],
    [
      'a key in the place of another',
      (folder) =>
        writeFileSync(
          join(folder, 'keys', 'bundles.jwk.json'),
          readFileSync(join(folder, 'keys', 'snapshots.jwk.json')),
        ),
      /is not the key that .* names for bundles/,
    ],
    ['no certificate', (folder) => writeFileSync(join(folder, 'tls', 'cert.pem'), 'no'), /cert\.pem is damaged/],
  ];

  test.each(damages)('%s', async (_, damage, sentence) => {
    const { stateDir } = await newInstallation();
    damage(join(stateDir, 'master'));
    const { status, stderr } = await run(serveArguments(stateDir, '127.0.0.1:0'));
    expect(status).toBe(1);
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toContain('"d":');
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

/** A client whose reply is lost: it sends a request and looks at nothing that comes back. */
function sendAndNeverRead(url: string, path: string, body: unknown): void {
  const { hostname, port } = new URL(url);
  const text = JSON.stringify(body);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: postern\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  });
  socket.pause();
  socket.on('error', () => {});
}

async function untilListed(folder: string, isIt: (name: string) => boolean): Promise<void> {
  for (let tries = 0; tries < 5_000; tries++) {
    if (readdirSync(folder).some(isIt)) return;
    await Bun.sleep(1);
  }
  throw new Error(`${folder} never held it`);
}

function fill(path: string): void {
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' });
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
}

function tear(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 4096 * 3 + 8, 4096 * 3 + 2048);
  writeFileSync(path, bytes);
}
