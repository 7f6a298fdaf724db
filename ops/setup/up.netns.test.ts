import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import type { Host } from '../lab-kit/host.ts';
import { Lab } from '../lab-kit/lab.ts';
import { whyUnavailable } from '../lab-kit/unavailable.ts';
import { repository } from './programs.ts';

/** A fresh machine with an address and a default route, and what `ops/up` and `ops/down` do to it. */

setDefaultTimeout(120_000);
const unavailable = await whyUnavailable();
const need = unavailable === undefined ? '' : ` (needs root and namespaces; ${unavailable})`;
const state = '/var/lib/postern';
const up = join(repository, 'ops/up');
const down = join(repository, 'ops/down');

let lab: Lab;
let node: Host;

beforeEach(async () => {
  lab = Lab.create();
  [node] = await lab.boot('node');
  await node.ip('link add eth0 type veth peer name far0', 'link set far0 up', 'link set eth0 up');
  await node.ip('addr add 198.51.100.10/24 dev eth0', 'route add default via 198.51.100.1');
});
afterEach(() => lab.close());

const runUp = async (...words: string[]) =>
  JSON.parse(await node.must([up, '--detach', '--json', ...words], { timeoutMs: 60_000 }));

const running = (pattern: RegExp) =>
  node
    .processes()
    .filter(({ argv }) => pattern.test(argv))
    .map(({ pid }) => pid);
const master = /api\/main\.ts serve/;
const agent = /agent\/main\.ts run/;
const ours = /postern|wireguard-go|api\/main\.ts|agent\/main\.ts|ops\/setup/;

/** Every file of the state with its mode and content, but for what a running database, log or clock writes on. */
async function files(): Promise<string[]> {
  const modes = await node.must(['find', state, '-printf', '%P %m %U\n']);
  const sums = await node.must(['find', state, '-type', 'f', '-exec', 'sha256sum', '{}', '+']);
  const isLive = /logs\/|postern\.db|agent\/high-water/;
  return `${modes}${sums}`
    .split('\n')
    .filter((line) => !isLive.test(line))
    .sort();
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await Bun.sleep(50)) if (await holds()) return;
  throw new Error(`not within 30 s: ${what}`);
}

/** For a moment, what a program starts looks like the program itself. */
const oneOfEach = () =>
  until('one master and one agent run', () => running(master).length === 1 && running(agent).length === 1);

describe.skipIf(unavailable !== undefined)(`ops/up${need}`, () => {
  test('sets a fresh machine up, and typed again changes nothing', async () => {
    const first = await runUp();
    expect(first).toMatchObject({
      apiUrl: 'https://198.51.100.10:8443',
      swaggerUrl: 'https://198.51.100.10:8443/swagger',
      ownerTokenFile: `${state}/owner.token`,
      recoveryPassphrase: expect.stringMatching(/^([0-9A-Z]{5}-){4}[0-9A-Z]{5}$/),
      endpoint: '198.51.100.10:51820',
      pool: expect.stringMatching(/^10\.\d+\.\d+\.0\/18$/),
      ports: [
        { port: 51820, protocol: 'udp' },
        { port: 8443, protocol: 'tcp' },
      ],
      created: true,
    });
    expect(await node.must(['stat', '-c', '%a', state])).toBe('700\n');
    const loose = await node.must(['find', state, '-type', 'f', '-perm', '/077', '-printf', '%P\n']);
    expect(loose).toBe('');
    expect(await node.must(['grep', '-rlF', first.recoveryPassphrase, state]).catch(() => 'nowhere')).toBe('nowhere');
    expect(await node.must(['wg', 'show', 'wg0', 'listen-port'])).toBe('51820\n');
    expect(await node.must(['postern', 'node', 'list', '--json'])).toContain('"connected":true');

    const before = { files: await files(), master: running(master), agent: running(agent) };
    expect(before.master).toHaveLength(1);
    expect(before.files.length).toBeGreaterThan(8);
    const { recoveryPassphrase, notes, ...same } = first;
    const second = await runUp();
    expect(second).toMatchObject({ ...same, created: false, changed: false });
    expect(second).not.toHaveProperty('recoveryPassphrase');
    expect({ files: await files(), master: running(master), agent: running(agent) }).toEqual(before);
  });

  test('shows a person the secrets once, and what devices from outside will miss', async () => {
    await node.ip('addr flush dev eth0', 'addr add 192.168.7.4/24 dev eth0', 'route add default via 192.168.7.1');
    const first = await node.must([up, '--detach'], { timeoutMs: 60_000 });
    const token = (await node.must(['cat', `${state}/owner.token`])).trim();
    expect(first).toContain(`Owner token  ${token}`);
    expect(first).toMatch(/Recovery passphrase.*([0-9A-Z]{5}-){4}[0-9A-Z]{5}/);
    expect(first).toContain('192.168.7.4 is an address of a private network');
    const second = await node.must([up, '--detach'], { timeoutMs: 60_000 });
    expect(second).not.toContain(token);
    expect(second).not.toMatch(/passphrase|private network/);
    expect(second).toContain('nothing had to be changed');
  });

  test('keeps the certificate it was given, and takes another when the root vouches for it', async () => {
    const make = (name: string) =>
      node.must([
        ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', `/CN=${name}`, '-keyout', `/root/${name}.key`, '-out', `/root/${name}.pem`],
      ]);
    await Promise.all([make('one'), make('other')]);
    const given = (name: string) => ['--tls-cert', `/root/${name}.pem`, '--tls-key', `/root/${name}.key`];
    const { recoveryPassphrase } = await runUp(...given('one'));
    const inUse = ['openssl', 's_client', '-connect', '127.0.0.1:8443', '-servername', 'one'];
    expect(await node.must(inUse)).toContain('CN = one');
    expect(await runUp(...given('one'))).toMatchObject({ changed: false });
    const { exitCode, stderr } = await node.run([up, '--detach', ...given('other')]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining('--recovery-file'),
    });
    await node.must(['sh', '-c', 'umask 077; cat > /root/recovery'], { stdin: `${recoveryPassphrase}\n` });
    const taken = await runUp(...given('other'), '--recovery-file', '/root/recovery');
    expect(taken).toMatchObject({ created: false, changed: true });
    for (let tries = 0; tries < 50 && !(await node.must(inUse)).includes('CN = other'); tries++) await Bun.sleep(200);
    expect(await node.must(inUse)).toContain('CN = other');
    expect(await node.must(['postern', 'node', 'list', '--json'])).toContain('n1');
    expect(await runUp(...given('other'))).toMatchObject({ changed: false });
    expect((await node.run([up, '--detach', '--tls-cert', '/root/one.pem'])).stderr).toContain('both');
  });

  test('stops at options that contradict what is there, and names them', async () => {
    const { pool } = await runUp('--endpoint', 'vpn.example.com');
    const before = await files();
    const { exitCode, stderr } = await node.run([
      up,
      '--detach',
      '--pool',
      '10.1.0.0/16',
      '--endpoint',
      'vpn.example.com',
    ]);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(`--pool 10.1.0.0/16 (it is ${pool})`),
    });
    expect(stderr).not.toContain('--endpoint');
    expect(await files()).toEqual(before);
  });

  test.each([[300], [700], [1200], [2000]])('killed after %d ms is completed by the next run', async (ms) => {
    const cutOff = node.start('up', [up, '--detach', '--json']);
    await Bun.sleep(ms);
    await node.kill9(/ops\/setup\/up\.ts|api\/main\.ts (?:init|release)|bun.* build /);
    await cutOff.exited;
    const done = await runUp();
    expect(done.recoveryPassphrase ?? cutOff.output()).toMatch(/([0-9A-Z]{5}-){4}[0-9A-Z]{5}/);
    expect(await node.must(['postern', 'node', 'list', '--json'])).toContain('"connected":true');
    expect((await node.must(['find', state, '-name', '.master-draft*'])).trim()).toBe('');
  });

  test('typed twice at the same time sets up one node', async () => {
    const both = await Promise.all([runUp(), runUp()]);
    expect(both.map(({ rootThumbprint }) => rootThumbprint)).toEqual([both[0].rootThumbprint, both[0].rootThumbprint]);
    expect(both.filter(({ created }) => created)).toHaveLength(1);
    await oneOfEach();
  });

  test('says whose port it is when something else has it', async () => {
    node.start('squatter', ['bun', '-e', 'Bun.listen({ hostname: "0.0.0.0", port: 8443, socket: { data() {} } })']);
    await until('the port is taken', async () => (await node.must(['ss', '-ltn'])).includes(':8443'));
    const { exitCode, stderr } = await node.run([up, '--detach'], { timeoutMs: 60_000 });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/8443.*--listen/s) });
  });
});

describe.skipIf(unavailable !== undefined)(`ops/up --restore${need}`, () => {
  test('puts a master that is there aside only when told to, and its node follows', async () => {
    await runUp('--recovery-file', '/root/recovery');
    await node.must(['postern', 'backup', 'create', '/root/postern.backup']);
    await node.must(['postern', 'user', 'add', 'late@example.com', '--role', 'developer']);
    const words = ['--restore', '/root/postern.backup', '--recovery-file', '/root/recovery'];
    const before = running(master);
    const refused = await node.run([up, '--detach', ...words]);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--force') });
    await node.must(['sh', '-c', 'echo another >/root/wrong']);
    const wrong = ['--restore', '/root/postern.backup', '--force', '--recovery-file', '/root/wrong'];
    expect(await node.run([up, '--detach', ...wrong], { timeoutMs: 60_000 })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('passphrase does not open'),
    });
    expect(running(master)).toHaveLength(before.length);
    const { changed, notes } = await runUp(...words, '--force', '--public-url', 'https://vpn.example.com:8443');
    expect({ changed, notes: notes.join() }).toMatchObject({
      changed: true,
      notes: expect.stringContaining('Epoch 2'),
    });
    const status = await node.must(['postern', 'master', 'status']);
    expect(status).toContain('https://vpn.example.com:8443: epoch 2');
    expect(status).toContain('Users to be added again: late@example.com');
    expect(await node.must(['postern', 'user', 'list'])).not.toContain('late@example.com');
    expect(await runUp()).toMatchObject({ changed: false });
  });
});

describe.skipIf(unavailable !== undefined)(`the supervisor${need}`, () => {
  test('starts again what was killed', async () => {
    await runUp();
    const [first] = running(master);
    const [second] = running(agent);
    await node.kill9(/api\/main\.ts serve|agent\/main\.ts run/);
    await until('both are back', () => running(master).length === 1 && running(agent).length === 1);
    expect(running(master)).not.toEqual([first]);
    expect(running(agent)).not.toEqual([second]);
    await until('the master answers', async () => (await node.run(['postern', 'node', 'list'])).exitCode === 0);
  });

  test('killed, leaves nothing that holds its place: ops/up starts all again', async () => {
    await runUp();
    await node.kill9(/ops\/setup\/supervisor\.ts/);
    await until('its programs are gone', () => running(master).length + running(agent).length === 0);
    expect(await runUp()).toMatchObject({ created: false, changed: true });
    await oneOfEach();
  });

  test('in the foreground it ends with Ctrl-C', async () => {
    const session = node.terminal([up]);
    await session.shows(/Ctrl-C/, 60_000);
    // Ctrl-C would also reach the program by which the test is inside.
    for (const pid of running(/ops\/setup\/up\.ts/)) process.kill(pid, 'SIGINT');
    expect(await session.exited).toBe(0);
    await until('all has ended', () => running(/api\/main|agent\/main|supervisor\.ts/).length === 0);
  });

  test('in the foreground it lets ops/up look and ops/down end it from another terminal', async () => {
    const session = node.terminal([up]);
    await session.shows(/Ctrl-C/, 60_000);
    expect(await runUp()).toMatchObject({ created: false, changed: false });
    await node.must([down], { timeoutMs: 30_000 });
    expect(await session.exited).toBe(0);
  });
});

describe.skipIf(unavailable !== undefined)(`ops/down${need}`, () => {
  test('takes the node away and keeps its state, which ops/up starts again', async () => {
    const { rootThumbprint } = await runUp();
    const rules = async () =>
      `${await node.must(['iptables-save'])}${await node.must(['ip6tables-save'])}`.match(
        /^(?:-A|:POSTERN|:postern).*$/gim,
      );
    expect(await rules()).not.toBeNull();
    await node.must([down]);
    await until('all has ended', () => running(ours).length === 0);
    expect((await node.run(['ip', 'link', 'show', 'wg0'])).exitCode).not.toBe(0);
    expect(await rules()).toBeNull();
    expect(await node.must(['ipset', 'list', '-name'])).toBe('');
    expect((await node.run(['test', '-e', '/usr/local/bin/postern'])).exitCode).toBe(1);
    expect(await runUp()).toMatchObject({ rootThumbprint, created: false, changed: true });
  });

  test('--purge asks first, and then leaves nothing', async () => {
    await runUp();
    const unasked = await node.run([down, '--purge']);
    expect({ exitCode: unasked.exitCode, master: running(master).length }).toEqual({ exitCode: 1, master: 1 });
    await node.must([down, '--purge', '--yes']);
    expect((await node.run(['test', '-e', state])).exitCode).toBe(1);
    expect(running(ours)).toEqual([]);
    expect(await node.must([down])).toContain('nothing to do');
  });

  test('leaves a postern command that is not ours, and takes over one whose clone is gone', async () => {
    await node.must(['ln', '-s', '/gone/ops/postern', '/usr/local/bin/postern']);
    await runUp();
    expect(await node.must(['readlink', '/usr/local/bin/postern'])).toBe(`${join(repository, 'ops/postern')}\n`);
    await node.must([down, '--purge', '--yes']);

    await node.must(['sh', '-c', 'echo another >/usr/local/bin/postern']);
    await runUp();
    await node.must([down, '--purge', '--yes']);
    expect(await node.must(['cat', '/usr/local/bin/postern'])).toBe('another\n');
  });
});
