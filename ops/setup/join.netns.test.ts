import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import type { Host } from '../lab-kit/host.ts';
import { Lab } from '../lab-kit/lab.ts';
import { whyUnavailable } from '../lab-kit/unavailable.ts';
import { repository } from './programs.ts';

/** A machine with a master, and one that becomes a node of it. */

setDefaultTimeout(120_000);
const unavailable = await whyUnavailable();
const need = unavailable === undefined ? '' : ` (needs root and namespaces; ${unavailable})`;
const state = '/var/lib/postern';
const up = join(repository, 'ops/up');
const down = join(repository, 'ops/down');

describe.skipIf(unavailable !== undefined)(`ops/up --join${need}`, () => {
  let lab: Lab;
  let first: Host;
  let second: Host;
  let root = '';
  let passphrase = '';
  const url = 'https://198.51.100.10:8443';
  const limit = { timeoutMs: 60_000 };

  const issue = async (...words: string[]): Promise<{ code: string; join: { sh: string } }> =>
    JSON.parse(await first.must(['postern', 'node', 'add', 'n2', '--json', ...words]));
  const joining = (...words: string[]) => [up, '--detach', '--json', '--join', url, '--root', root, ...words];
  const nodes = async (): Promise<{ name: string }[]> =>
    JSON.parse(await first.must(['postern', 'node', 'list', '--json']));
  const agents = () => second.processes().filter(({ argv }) => /agent\/main\.ts run/.test(argv));

  beforeAll(async () => {
    lab = Lab.create();
    [first, second] = await lab.boot('first', 'second');
    await lab.link(
      { host: first, name: 'eth0', address: '198.51.100.10/24' },
      { host: second, name: 'eth0', address: '198.51.100.20/24' },
    );
    for (const host of [first, second]) await host.ip('route add default via 198.51.100.1');
    const made = JSON.parse(await first.must([up, '--detach', '--json'], limit));
    [root, passphrase] = [made.rootThumbprint, made.recoveryPassphrase];
  });
  afterAll(() => lab.close());

  test('sends no code to a master that another root key speaks for', async () => {
    const { code } = await issue();
    const words = [up, '--detach', '--join', url, '--root', 'A'.repeat(43)];
    const { exitCode, stderr } = await second.run(words, { ...limit, env: { POSTERN_CODE: code } });
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('another root key') });
    const codes = JSON.parse(await first.must(['postern', 'node', 'codes', '--json']));
    expect(codes).toMatchObject([{ name: 'n2', state: 'open' }]);
  });

  test.each([
    ['a code with a typing error', '7QK2M-9ZX4T-B6VAE-H3NPW-R8YC6', 'typing error'],
    ['a code that is none of this master', '00000-00000-00000-00000-00000', 'not known'],
  ])('%s leaves nothing running', async (_, code, says) => {
    const { exitCode, stderr } = await second.run(joining('--code-file', '-'), { ...limit, stdin: code });
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(says) });
    expect(agents()).toEqual([]);
  });

  test('makes a machine a healthy node, and typed again changes nothing', async () => {
    const { code, join: line } = await issue('--priority', '90');
    expect(line.sh).toBe(`sudo ops/up --join ${url} --root ${root}`);
    await second.must(['sh', '-c', 'umask 077; cat >/root/code'], { stdin: `${code}\n` });
    const joined = JSON.parse(await second.must(joining('--code-file', '/root/code'), limit));
    expect(joined).toMatchObject({
      node: 'n2',
      master: url,
      endpoints: ['198.51.100.20:51820'],
      meshAddress: expect.stringMatching(/^10\.\d+\.\d+\.3$/),
      created: true,
      changed: true,
    });
    expect(await nodes()).toMatchObject([
      { name: 'n1', connected: true, mesh: { endpoints: ['198.51.100.10:51821'] } },
      { name: 'n2', connected: true, priority: 90, problem: null, mesh: { endpoints: ['198.51.100.20:51821'] } },
    ]);
    expect((await second.run(['test', '-e', `${state}/master`])).exitCode).toBe(1);
    const loose = await second.must([
      'find',
      state,
      '-type',
      'f',
      '-perm',
      '/077',
      '!',
      '-name',
      '*.pid',
      '-printf',
      '%P\n',
    ]);
    expect(loose).toBe('');
    const [before] = agents();
    for (const words of [joining(), [up, '--detach', '--json']])
      expect(JSON.parse(await second.must(words, limit))).toEqual({ ...joined, created: false, changed: false });
    expect(agents()[0]?.pid).toBe(before?.pid ?? 0);
    const other = await second.run([up, '--detach', '--join', 'https://198.51.100.99:8443', '--root', root]);
    expect(other).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`it is ${url}`) });
    const misplaced = await second.run([up, '--detach', '--owner', 'ana@example.com']);
    expect(misplaced).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--owner') });
  });

  test('is refused on the machine of a master', async () => {
    const { exitCode, stderr } = await first.run(joining(), limit);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('a master of its own') });
  });

  test('ops/down ends it, ops/up brings it back without a code, and purged it tells what is left', async () => {
    await second.must([down]);
    expect(agents()).toEqual([]);
    expect((await second.run(['ip', 'link', 'show', 'wg0'])).exitCode).not.toBe(0);
    const back = JSON.parse(await second.must([up, '--detach', '--json'], limit));
    expect(back).toMatchObject({ node: 'n2', created: false, changed: true });
    expect(await second.must([down, '--purge', '--yes'])).toContain('postern node remove n2');
    await first.must(['postern', 'node', 'remove', 'n2', '--yes']);
    expect((await second.run(['test', '-e', state])).exitCode).toBe(1);
  });

  test('a node becomes the master of a backup when the machine of the master is gone, and stays the node it was', async () => {
    const { code } = await issue();
    await second.must(joining('--code-file', '-'), { ...limit, stdin: code });
    await first.must(['postern', 'backup', 'create', '/root/backup']);
    const backup = await first.must(['base64', '-w0', '/root/backup']);
    await second.must(['sh', '-c', 'umask 077; base64 -d >/root/backup'], { stdin: backup });
    await second.must(['sh', '-c', 'umask 077; cat >/root/recovery'], { stdin: passphrase });
    await second.must(['sh', '-c', 'echo wrong >/root/wrong']);
    const words = [up, '--detach', '--json', '--restore', '/root/backup', '--recovery-file'];
    const refused = await second.run([...words, '/root/wrong'], limit);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('passphrase') });
    expect(agents()).toHaveLength(1);
    await first.must([down]);
    const there = 'https://198.51.100.20:8443';
    await second.must([...words, '/root/recovery', '--public-url', there], limit);
    expect(await second.must(['postern', 'master', 'status'])).toContain(`${there}: epoch 2`);
    expect(second.processes().filter(({ argv }) => argv.includes('--node n2'))).toHaveLength(1);
    expect((await second.run(['test', '-e', `${state}/membership.json`])).exitCode).toBe(1);
  });
});
