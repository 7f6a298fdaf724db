import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect, createServer as createTlsServer } from 'node:tls';

/** `postern` as it is typed, against a real master on loopback. */

const repository = resolve(import.meta.dir, '../..');
const masterProgram = (...words: string[]) => [process.execPath, join(repository, 'api/main.ts'), ...words];
const stateDir = mkdtempSync(join(tmpdir(), 'postern-cli-'));
let master: Bun.Subprocess | undefined;
let port = 0;
let root = '';
const recoveryFile = join(stateDir, 'recovery');

beforeAll(async () => {
  port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const publicUrl = `https://${listen}`;
  const words = [
    'init',
    '--state-dir',
    stateDir,
    '--pool',
    '10.91.64.0/18',
    '--owner',
    'o@example.com',
    '--public-url',
    publicUrl,
  ];
  const created = JSON.parse(await Bun.spawn(masterProgram(...words), { stdout: 'pipe' }).stdout.text());
  root = created.rootThumbprint;
  writeFileSync(join(stateDir, 'owner.token'), `${created.ownerToken}\n`, { mode: 0o600 });
  writeFileSync(recoveryFile, created.recoveryPassphrase, { mode: 0o600 });
  writeFileSync(join(stateDir, 'init.json'), JSON.stringify({ rootThumbprint: root }));
  writeFileSync(join(stateDir, 'config.json'), JSON.stringify({ listen, publicUrl }));
  const file = join(stateDir, 'file');
  writeFileSync(file, 'content');
  const release = [
    'release',
    '--state-dir',
    stateDir,
    '--version',
    '1',
    '--file',
    `join.sh=${file}`,
    '--file',
    `postern-client.js=${file}`,
  ];
  await Bun.spawn(masterProgram(...release), { stdin: Buffer.from(created.recoveryPassphrase), stdout: 'ignore' })
    .exited;
  master = Bun.spawn(masterProgram('serve', '--state-dir', stateDir, '--listen', listen), {
    stdout: 'ignore',
    stderr: 'ignore',
  });
  for (let tries = 0; tries < 100 && (await postern('user', 'list')).exitCode !== 0; tries++) await Bun.sleep(50);
});

afterAll(async () => {
  master?.kill();
  await master?.exited;
  rmSync(stateDir, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

async function postern(...words: string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const argv = [process.execPath, join(repository, 'ops/cli/main.ts'), '--state-dir', stateDir, ...words];
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', timeout: 20_000 });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}

function call(method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`https://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${readFileSync(join(stateDir, 'owner.token'), 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
  });
}

async function registerNode(name: string): Promise<void> {
  const agentKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x;
  const response = await call('POST', '/v1/nodes', {
    name,
    publicKey: randomBytes(32).toString('base64'),
    agentKey,
    endpoints: ['198.51.100.7:51820'],
  });
  expect(response.status).toBe(201);
}

describe('postern', () => {
  test('adds a user and makes a code, whose line pins the master and holds no code', async () => {
    expect((await postern('user', 'add', 'Ana@example.com', '--role', 'admin')).stdout).toContain(
      'ana@example.com has the role admin',
    );
    const { stdout } = await postern('code', 'add', 'ana@example.com', '--ttl', '3600');
    expect(stdout).toMatch(/^ {2}([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$/m);
    const { code, join: line } = JSON.parse((await postern('code', 'add', 'ana@example.com', '--json')).stdout);
    expect(line.sh).toContain(root);
    expect(line.sh).not.toContain(code);
  });

  test('makes a code for a machine, which leaves by itself', async () => {
    await postern('user', 'add', 'ci@example.com');
    const { stdout, exitCode } = await postern('code', 'add', 'ci@example.com', '--machine', '7200', '--json');
    expect(exitCode).toBe(0);
    const { id } = JSON.parse(stdout);
    const answer = await call('GET', `/v1/codes/${id}`);
    expect(await answer.json()).toMatchObject({ device: { kind: 'machine', expiresIn: 7_200 } });
  });

  test('lists all, however many pages that takes', async () => {
    const before = JSON.parse((await postern('user', 'list', '--json')).stdout).length;
    for (let batch = 0; batch < 6; batch++) {
      const added = Array.from({ length: 100 }, (_, i) =>
        call('POST', '/v1/users', { email: `many-${batch}-${i}@example.com`, role: 'developer' }),
      );
      for (const { status } of await Promise.all(added)) expect(status).toBe(201);
    }
    const users: { email: string }[] = JSON.parse((await postern('user', 'list', '--json')).stdout);
    expect(users).toHaveLength(before + 600);
    expect((await postern('user', 'show', 'MANY-5-99@example.com')).stdout).toContain('many-5-99@example.com');
  });

  test('changes a user, and shows the change', async () => {
    await postern('user', 'add', 'ben@example.com');
    expect((await postern('user', 'set', 'ben@example.com', '--disable')).stdout).toContain('disabled');
    expect(JSON.parse((await postern('user', 'show', 'ben@example.com', '--json')).stdout)).toMatchObject({
      disabled: true,
    });
    expect((await postern('user', 'remove', 'ben@example.com')).exitCode).toBe(0);
    expect((await postern('user', 'list')).stdout).not.toContain('ben@');
  });

  test('adds and removes a network', async () => {
    await registerNode('n1');
    const added = await postern('network', 'add', 'internal', '172.19.0.0/16', '--dev', 'br-internal');
    expect(added.stdout).toContain('open to: admin');
    expect((await postern('network', 'list')).stdout).toMatch(
      /internal\s+172\.19\.0\.0\/16\s+n1 br-internal\s+admin\s+yes/,
    );
    const refused = await postern('network', 'remove', 'internal');
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('allow admin -> internal') });
    const removed = await postern('network', 'remove', 'internal', '--with-access');
    expect(removed.stdout).toContain('still to follow: n1');
    expect((await postern('node', 'list')).stdout).toMatch(/n1\s+not ready\s.*198\.51\.100\.7:51820/);
  });

  test('makes a code for a node once, drains, moves and removes nodes', async () => {
    await registerNode('n4');
    const added = await postern('node', 'add', 'n5', '--endpoint', 'n5.example.com:51820', '--priority', '90');
    expect(added.stdout).toMatch(/^ {2}([0-9A-Z]{5}-){4}[0-9A-Z]{5}$/m);
    expect(added.stdout).toContain(`sudo ops/up --join https://127.0.0.1:${port} --root ${root}`);
    const [code] = JSON.parse((await postern('node', 'codes', '--json')).stdout);
    expect(code).toMatchObject({ name: 'n5', state: 'open', priority: 90, endpoints: ['n5.example.com:51820'] });
    expect((await postern('node', 'codes', 'withdraw', code.id)).exitCode).toBe(0);
    expect((await postern('node', 'codes')).stdout).toMatch(/n5\s+withdrawn/);
    expect((await postern('node', 'drain', 'n4')).stdout).toContain('left by its devices');
    const moved = await postern('node', 'set', 'n4', '--endpoint', 'n4.example.com:7000', '--priority', '7', '--json');
    expect(JSON.parse(moved.stdout)).toMatchObject({ draining: true, priority: 7, endpoints: ['n4.example.com:7000'] });
    expect((await postern('node', 'undrain', 'n4')).stdout).toContain('takes devices again');
    expect((await postern('node', 'show', 'n4')).stdout).toMatch(/^PRIORITY +7$/m);
    expect(await postern('node', 'remove', 'n4')).toMatchObject({ exitCode: 1 });
    expect((await postern('node', 'remove', 'n4', '--yes')).stdout).toContain('ops/down --purge');
    expect(await postern('node', 'show', 'n4')).toMatchObject({ exitCode: 3 });
    expect(await postern('node', 'add', 'n5', '--priority', '255')).toMatchObject({ exitCode: 2 });
  });

  test('shows and changes the settings, and lists outages', async () => {
    expect((await postern('settings')).stdout).toMatch(/^domain +corp\.internal$/m);
    const changed = await postern('settings', 'set', 'upstreams=9.9.9.9,1.1.1.1', 'advert=500ms', '--json');
    expect(JSON.parse(changed.stdout)).toMatchObject({ upstreams: ['9.9.9.9', '1.1.1.1'], advertMilliseconds: 500 });
    expect((await postern('settings', 'set', 'upstreams=none')).stdout).toMatch(/^upstreams +none/m);
    expect(await postern('settings', 'set', 'pool=10.0.0.0/8')).toMatchObject({ exitCode: 2 });
    expect(await postern('settings', 'set', 'domain=localhost')).toMatchObject({ exitCode: 3 });
    expect((await postern('outages', '--node', 'n1')).stdout).toContain('No device has reported');
  });

  test('shows, checks, compares, puts in force and undoes a policy, and asks before it does', async () => {
    const file = join(stateDir, 'company.policy');
    const before = (await postern('policy', 'show')).stdout;
    expect(before).toContain('role admin');
    writeFileSync(file, `${before}network lan = 172.31.0.0/16 via n1 dev eth7\nallow develper -> lan tcp/443\n`);
    const wrong = await postern('policy', 'check', file);
    expect([wrong.exitCode, wrong.stdout]).toEqual([3, expect.stringContaining('did you mean `developer`?')]);
    expect(wrong.stdout).toContain('^^^^^^^^');
    expect((await postern('policy', 'apply', file, '--yes')).stderr).toContain('policy-refused');
    expect((await postern('policy', 'show')).stdout).toBe(before);

    writeFileSync(file, readFileSync(file, 'utf8').replace('develper', 'developer'));
    expect((await postern('policy', 'check', file)).stdout).toContain('can be put in force');
    expect((await postern('policy', 'diff', file)).stdout).toContain('lan');
    expect((await postern('policy', 'apply', file)).stderr).toContain('add --yes');
    expect((await postern('policy', 'apply', file, '--yes', '--note', 'The LAN')).stdout).toContain('now');
    expect((await postern('policy', 'explain', 'role:developer', 'lan', 'tcp/443')).stdout).toMatch(/allowed|may/i);
    expect((await postern('policy', 'explain', 'role:developer', 'lan', 'tcp/22')).stdout).toMatch(/denied|not/i);
    expect((await postern('policy', 'show', '--effective')).stdout).toContain('lan');
    expect((await postern('policy', 'history')).stdout).toContain('The LAN');
    const history = JSON.parse((await postern('policy', 'history', '--json')).stdout);
    const earlier = String(history[1].revision);
    expect((await postern('policy', 'rollback', earlier, '--yes')).exitCode).toBe(0);
    expect((await postern('policy', 'show')).stdout).toBe(before);
  });

  test('shows a refusal where it stands in the document, and a script the whole problem', async () => {
    const file = join(stateDir, 'wrong.policy');
    writeFileSync(file, 'role admin\n\tallow admn -> devices\nrole developer\n');
    for (const words of [['diff'], ['apply', '--yes']]) {
      const { exitCode, stdout, stderr } = await postern('policy', ...words, file);
      expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
      expect(stderr).toContain(` 2 | \tallow admn -> devices\n   | \t      ^^^^\n   = did you mean \`admin\`?`);
    }
    const json = await postern('--json', 'policy', 'apply', '--yes', file);
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'policy-refused', diagnostics: [{ line: 2 }] });
    expect((await postern('policy', 'diff', join(stateDir, 'none'))).stderr).toContain('There is no file');
  });

  test('puts a document in its plain form', async () => {
    const file = join(stateDir, 'messy.policy');
    writeFileSync(file, 'role   a');
    expect((await postern('policy', 'format', file)).stdout).toBe('role a\n');
    expect((await postern('policy', 'format', '--write', file)).stdout).toContain('written anew');
    expect(readFileSync(file, 'utf8')).toBe('role a\n');
  });

  test('edits with any editor and its options, and loses nothing that was typed', async () => {
    const before = (await postern('policy', 'show')).stdout;
    const edit = async (script: string, editor?: string) => {
      const program = join(stateDir, 'an-editor');
      writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const argv = [process.execPath, join(repository, 'ops/cli/main.ts'), '--state-dir', stateDir, 'policy', 'edit'];
      const env = { ...process.env, TMPDIR: stateDir, VISUAL: '', EDITOR: editor ?? `${program} --wait` };
      const child = Bun.spawn(argv, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
      return { stdout: await child.stdout.text(), stderr: await child.stderr.text(), exitCode: await child.exited };
    };
    const keptIn = (stderr: string) => readFileSync(/Your text is in (.*)\.\n/.exec(stderr)?.[1] ?? '', 'utf8');
    expect((await edit('true')).stdout).toContain('Nothing is changed');
    const unasked = await edit('test "$1" = --wait && echo "# mine" >> "$2"');
    expect([unasked.exitCode, keptIn(unasked.stderr)]).toEqual([1, `${before}# mine\n`]);
    const wrong = await edit('echo nonsense >> "$2"');
    expect(wrong.stderr).toContain('^^^^^^^^');
    expect(keptIn(wrong.stderr)).toBe(`${before}nonsense\n`);
    expect((await edit('', '/nonexistent')).stderr).toContain('cannot be started');
    expect((await edit('exit 7')).stderr).toContain('ended with 7');
    const never = join(stateDir, 'never');
    expect((await edit('', `true; touch ${never}`)).exitCode).toBe(1);
    expect(existsSync(never)).toBe(false);
    expect((await postern('policy', 'show')).stdout).toBe(before);
  });

  test('adds services, and closes ports to the public', async () => {
    await postern('network', 'add', 'lan', '172.31.0.0/16', '--dev', 'eth7');
    const added = await postern('service', 'add', 'wiki', '172.31.0.9', '--port', '443/tcp', '--role', 'developer');
    expect(added.stdout).toBe('wiki is open to: developer, admin.\n');
    expect((await postern('service', 'list')).stdout).toMatch(/wiki\s+172\.31\.0\.9\s+tcp\/443/);
    const inUse = await postern('service', 'remove', 'wiki');
    expect([inUse.exitCode, inUse.stderr]).toEqual([3, expect.stringMatching(/line \d+: allow developer -> wiki/)]);
    expect((await postern('service', 'remove', 'wiki', '--with-access')).exitCode).toBe(0);
    expect((await postern('network', 'remove', 'lan', '--with-access')).exitCode).toBe(0);
    expect((await postern('port', '-a', '5432/tcp', '--dev', 'eno1')).stdout).toMatch(/n1\s+eno1\s+tcp\/5432/);
    expect((await postern('port', 'list')).stdout).toMatch(/n1\s+eno1\s+tcp\/5432/);
    expect((await postern('port', '-a', '22/tcp', '--dev', 'eno1')).stderr).toContain('SSH');
    expect((await postern('port', '-a', 'tcp/1', '--node', 'n9')).stderr).toContain('--dev');
    // The interface is the one where it is closed.
    expect((await postern('port', '-r', 'tcp/5432')).stdout).toContain('No port is closed');
    expect((await postern('port', '-a', 'tcp/1', '-r', 'tcp/2')).exitCode).toBe(2);
  });

  test('makes a token for a script, which may do that and no more', async () => {
    const file = join(stateDir, 'ci.token');
    const words = ['token', 'add', 'ci', '--permission', 'operator', '--area', 'users', 'codes', '--save', file];
    const made = await postern(...words);
    expect(made.stdout).toContain(`operator for users, codes`);
    expect(made.stdout).not.toContain(readFileSync(file, 'utf8').trim());
    expect((await postern(...words)).stderr).toContain('EEXIST');
    await postern('user', 'add', 'script@example.com');
    expect((await postern('--token-file', file, 'code', 'add', 'script@example.com')).exitCode).toBe(0);
    const outside = await postern('--token-file', file, 'network', 'list');
    expect([outside.exitCode, outside.stderr]).toEqual([3, expect.stringContaining('users, codes')]);

    await postern(...words.toSpliced(-1, 1, `${file}2`));
    const [, ...both] = JSON.parse((await postern('token', 'list', '--json')).stdout) as { id: string; name: string }[];
    expect(both.map(({ name }) => name)).toEqual(['ci', 'ci']);
    expect((await postern('token', 'revoke', 'ci')).stderr).toContain(both.at(-1)?.id ?? '');
    for (const { id } of both) expect((await postern('token', 'revoke', id)).stdout).toContain('is revoked');
    expect((await postern('--token-file', file, 'user', 'list')).stderr).toContain('token-invalid');
    expect((await postern('token', 'list')).stdout).toMatch(/^first +o@example.com +owner +all +\d+ s ago +never/m);
  });

  test('lets an owner back in who has no token left, on the machine of the master', async () => {
    const file = join(stateDir, 'recovered.token');
    expect((await postern('token', 'recover', 'o@example.com', '--save', file)).stdout).toContain('until');
    expect((await postern('--token-file', file, 'token', 'list')).stdout).toMatch(/^recovered +o@example.com +owner/m);
    await postern('token', 'revoke', 'recovered');
    await postern('user', 'add', 'no-owner@example.com', '--permission', 'operator');
    for (const email of ['no-owner@example.com', 'nobody@example.com']) {
      const refused = await postern('token', 'recover', email, '--save', `${file}2`);
      expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('no enabled user')]);
    }
    expect(existsSync(`${file}2`)).toBe(false);
    expect((await postern('audit', 'verify')).exitCode).toBe(0);
  });

  test('shows a token this once', async () => {
    const words = ['token', 'add', 'week', '--permission', 'auditor', '--for', '604800'];
    expect((await postern(...words)).stdout).toMatch(/^ {2}pst_[\w-]{43}$/m);
    expect(JSON.parse((await postern(...words, '--json')).stdout)).toMatchObject({
      permission: 'auditor',
      token: expect.stringMatching(/^pst_/),
    });
  });

  test('tells who did what, and hands on all of it', async () => {
    await postern('user', 'add', 'audited@example.com');
    const shown = await postern('audit', 'list', '--actor', 'O@example.com', '--act', 'user', '--limit', '1');
    expect(shown.stdout).toMatch(
      /^ID +AT +WHO +WHAT +WHOM +DETAIL\n\d+ +\S+Z +user o@example.com +user.add +[0-9a-f-]{36} +email=audited/,
    );
    const file = join(stateDir, 'audit.csv');
    expect((await postern('audit', 'export', '--format', 'csv', '--save', file)).exitCode).toBe(0);
    expect(readFileSync(file, 'utf8')).toContain('audited@example.com');
    expect((await postern('audit', 'export', '--save', file)).stderr).toContain('EEXIST');
    const exported = (await postern('audit', 'export')).stdout.trimEnd().split('\n');
    const [newest] = JSON.parse((await postern('audit', 'list', '--json', '--limit', '1')).stdout);
    expect(exported.length).toBe(newest.id);
    expect(JSON.parse(exported.at(-1) ?? '')).toEqual(newest);

    const whole = await postern('audit', 'verify');
    expect([whole.exitCode, whole.stdout]).toEqual([0, expect.stringContaining(newest.hash)]);
    await postern('user', 'remove', 'audited@example.com');
    expect((await postern('audit', 'verify', '--head', newest.hash)).stdout).toContain('1 came since');
    const cut = await postern('audit', 'verify', '--head', 'f'.repeat(64), '--json');
    expect([cut.exitCode, JSON.parse(cut.stdout)]).toMatchObject([1, { ok: false, firstBroken: null, known: null }]);
  });

  test('tells another program what happens, and says why it cannot', async () => {
    const file = join(stateDir, 'pager.secret');
    const add = ['webhook', 'add', 'pager', 'https://hooks.invalid/in', '--event', 'user.added'];
    expect(await postern(...add, '--save', file)).toMatchObject({
      exitCode: 0,
      stdout: `pager is told of user.added. Its secret is in ${file}.\n`,
    });
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([
      expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=\n$/),
      0o600,
    ]);
    expect(await postern('webhook', 'test', 'pager')).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('pager did not take the test event: name-unknown'),
    });
    await postern('user', 'add', 'told@example.com', '--role', 'developer');
    expect((await postern('webhook', 'deliveries', 'pager')).stdout).toMatch(/^user\.added +\d+ s ago +waiting +/m);
    expect((await postern('webhook', 'list')).stdout).toMatch(/^pager +https:\/\/hooks\.invalid\/in +user\.added +/m);
    const [listed] = JSON.parse((await postern('--json', 'webhook', 'list')).stdout);
    expect(listed).toMatchObject({ name: 'pager', waiting: 1 });
    expect(listed.secret).toBeUndefined();
    expect((await postern('webhook', 'remove', 'pager')).stdout).toBe('pager is told nothing more.\n');
    expect((await postern('webhook', 'test', 'pager')).stderr).toContain('There is no webhook pager');
    expect((await postern('webhook', 'add', 'x', 'https://10.0.0.1/')).stderr).toContain('--webhook-allow');
  });

  test('tells how the installation is', async () => {
    const { stdout, exitCode } = await postern('status');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^master +\d+\.\d+\.\d+, ready; started \d+ s ago\nstate +epoch 1, revision \d+\n/);
    const status = JSON.parse((await postern('--json', 'status')).stdout);
    expect(status).toMatchObject({ ready: true, reasons: [], nodes: { connected: 0 } });
  });

  test('says that there are no devices, and what to do', async () =>
    expect((await postern('device', 'list')).stdout).toContain('postern code add'));

  test.each([
    [['user', 'add', 'not-an-address'], 3, 'email'],
    [['user', 'add', 'x@example.com', '--role', 'nonsense'], 3, 'role'],
    [['user', 'show', 'nobody@example.com'], 3, 'postern user list'],
    [['device', 'revoke', '10.91.64.99'], 3, 'postern device list'],
    [['device', 'renew', 'build-7', '--for', '60'], 3, 'postern device list'],
    [['device', 'renew', 'build-7'], 2, '--for'],
    [['network', 'remove', 'nowhere'], 3, 'not-found'],
    [['usr', 'list'], 2, 'Did you mean user'],
    [['user', 'list', '--jsn'], 2, 'Did you mean --json'],
    [['user', 'add'], 2, 'email'],
    [['user', 'set', 'ana@example.com'], 2, 'say what to change'],
    [['user', 'set', 'ana@example.com', '--enable', '--disable'], 2, 'cannot be used with'],
    [['code', 'add', 'ana@example.com', '--ttl', 'soon'], 2, 'seconds'],
    [['token', 'add', 'ci'], 2, '--permission'],
    [['token', 'add', 'ci', '--permission', 'none'], 2, 'Allowed choices'],
    [['token', 'add', 'ci', '--permission', 'auditor', '--area', 'al'], 2, 'Allowed choices'],
    [['token', 'add', 'ci', '--permission', 'auditor', '--until', '2020-01-01T00:00:00Z'], 3, 'is over already'],
    [['token', 'add', 'ci', '--permission', 'auditor', '--for', '60', '--until', 'x'], 2, 'cannot be used with'],
    [['token', 'revoke', 'nothing'], 3, 'postern token list'],
    [['audit', 'list', '--limit', '0'], 2, 'from 1 to 500'],
    [['audit', 'list', '--since', 'yesterday'], 3, 'since'],
    [['audit', 'export', '--act', 'Nonsense'], 3, 'act'],
    [['audit', 'export', '--save', '/nonexistent/file'], 1, 'ENOENT'],
    [['audit', 'verify', '--head', 'short'], 3, 'head'],
    [['--url', 'https://127.0.0.1:1', 'user', 'list'], 4, 'ops/up'],
    [['--root', 'A'.repeat(43), 'user', 'list'], 5, 'root key'],
    [['--url', 'http://127.0.0.1', 'user', 'list'], 1, 'https://'],
    [['--token-file', '/nonexistent', 'user', 'list'], 1, 'ops/up'],
  ])('%p ends with %d and says %j', async (words, exitCode, text) => {
    const result = await postern(...(words as string[]));
    expect(result.stderr).toContain(text as string);
    expect(result.exitCode).toBe(exitCode as number);
  });

  test('refuses a token that others can read, and one that the master does not know', async () => {
    const file = join(stateDir, 'other.token');
    writeFileSync(file, 'pst_nonsense');
    chmodSync(file, 0o644);
    expect((await postern('--token-file', file, 'user', 'list')).stderr).toContain('chmod 600');
    chmodSync(file, 0o600);
    const unknown = await postern('--token-file', file, 'user', 'list');
    expect(unknown.stderr).toContain('token-invalid');
    expect(unknown.stderr).not.toContain('pst_nonsense');
    expect(unknown.exitCode).toBe(3);
  });

  test('gives a script the problem as the API gives it', async () => {
    const { exitCode, stdout, stderr } = await postern('user', 'add', 'o@example.com', '--json');
    expect({ exitCode, stdout, ...JSON.parse(stderr) }).toMatchObject({
      exitCode: 3,
      stdout: '',
      code: 'already-exists',
    });
  });

  test('renews keys and certificate on the machine of the master, which goes on', async () => {
    const before = (await postern('keys', 'list')).stdout;
    expect(before.match(/^(tokens|snapshots|bundles|releases) /gm)).toHaveLength(4);
    expect(await postern('keys', 'renew', '--recovery-file', join(stateDir, 'file'))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('does not open the root key'),
    });
    expect(await postern('keys', 'renew', '--recovery-file', recoveryFile)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('The list of keys 2 is in force'),
    });
    expect((await postern('keys', 'renew', '--tls', '--recovery-file', recoveryFile)).exitCode).toBe(0);
    for (let tries = 0; tries < 100 && (await postern('keys', 'list')).stdout.split('\n').length < 9; tries++)
      await Bun.sleep(50);
    expect((await postern('keys', 'list')).stdout.match(/^(tokens|snapshots|bundles|releases) /gm)).toHaveLength(8);
  });

  test('orders certificates for a public name alone, and only when asked for with open eyes', async () => {
    const enable = (...words: string[]) => postern('certificate', 'enable', '--email', 'a@example.com', ...words);
    expect((await enable()).stderr).toContain('add --agree-tos');
    expect((await enable('--agree-tos')).stderr).toContain('no authority certifies 127.0.0.1');
    expect((await postern('certificate', 'disable')).stdout).toContain('No more certificates');
    expect((await postern('certificate', 'replace', join(stateDir, 'master/tls/cert.pem'))).exitCode).toBe(0);
  });

  test('speaks on the very connections whose certificate it saw', async () => {
    let connections = 0;
    const relay = createServer((socket) => {
      connections += 1;
      const onward = tcpConnect(port, '127.0.0.1');
      for (const end of [socket, onward]) end.on('error', () => [socket, onward].map((one) => one.destroy()));
      socket.pipe(onward).pipe(socket);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => relay.once('listening', resolve));
    const address = relay.address();
    const relayUrl = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    expect((await postern('--url', relayUrl, 'network', 'list')).exitCode).toBe(0);
    relay.close();
    // One for the list of keys, one for the request.
    expect(connections).toBe(2);
  });

  test('tells someone in between nothing but that it asks for the list of keys', async () => {
    const files = { key: join(stateDir, 'other.key'), cert: join(stateDir, 'other.pem') };
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=x'];
    const argv = ['openssl', 'req', '-x509', '-nodes', ...curve, '-keyout', files.key, '-out', files.cert];
    await Bun.spawn(argv, { stdout: 'ignore', stderr: 'ignore' }).exited;
    let heard = '';
    const between = createTlsServer({ key: readFileSync(files.key), cert: readFileSync(files.cert) }, (socket) => {
      const onward = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
      socket.on('data', (bytes) => {
        heard += bytes.toString();
      });
      for (const end of [socket, onward]) end.on('error', () => [socket, onward].map((one) => one.destroy()));
      socket.pipe(onward).pipe(socket);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => between.once('listening', resolve));
    const address = between.address();
    const betweenUrl = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const { exitCode, stderr } = await postern('--url', betweenUrl, 'user', 'list');
    between.close();
    expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringContaining('does not name') });
    expect(heard).toStartWith('GET /v1/trust');
    expect(heard).not.toMatch(/authorization/i);
  });

  test('explains itself with examples', async () => {
    for (const words of [
      [],
      ['user', 'add'],
      ['network', 'add'],
      ['device', 'revoke'],
      ['code', 'add'],
      ['token', 'add'],
    ])
      expect((await postern(...words, '--help')).stdout).toContain('postern ');
  });
});

test('a backup is made, verified and its master shown, as typed', async () => {
  const file = join(stateDir, 'typed.backup');
  expect(await postern('backup', 'create', file)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/typed\.backup: revision \d+ of epoch 1, \d/),
  });
  expect(await postern('backup', 'create', file)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('exists already'),
  });
  const verified = await postern('backup', 'verify', file, '--recovery-file', recoveryFile);
  expect(verified).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/is whole: .* with \d+ users/) });
  const status = await postern('master', 'status', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({ epoch: 1, superseded: null, life: null });
});
