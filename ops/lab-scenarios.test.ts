import { expect, test } from 'bun:test';
import { join, resolve } from 'node:path';

/** Every scenario of the lab in its short form, and some benchmarks, one test each, run as an operator runs it. */

const lab = resolve(import.meta.dir, 'lab');
const limitMs = 240_000;

async function run(...argv: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const child = Bun.spawn([...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', cwd: join(lab, '../..') });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { stdout, stderr, exitCode: await child.exited };
}

const asRoot = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user'];
const host = ['unshare', '--net', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child'];
const probe = await run(...asRoot, ...host, 'sh', '-c', 'exec 3<>/dev/net/tun');
const mayRun = probe.exitCode === 0;
const need = mayRun ? '' : ' (needs /dev/net/tun and the permission to make namespaces)';

const listed = await run(lab, 'list');
/** It is `failover` with more devices, and takes what else runs here with it. */
const elsewhere = ['many'];
const names = listed.stdout
  .split('\n')
  .flatMap((line) => line.match(/^[a-z][a-z0-9-]*/) ?? [])
  .filter((name) => !elsewhere.includes(name));

test('the lab has scenarios', () => expect(names.length, listed.stderr).toBeGreaterThan(0));

const commands = [
  ...names.map((name) => ['lab', 'run', name]),
  ...['firewall', 'enrol', 'kill', 'lists'].map((name) => ['bench', name]),
];

test.skipIf(!mayRun).each(commands.map((words): [string, string[]] => [words.join(' '), words]))(
  `ops/%s --short holds${need}`,
  async (_, [command = '', ...words]) => {
    const name = words.at(-1);
    const { stdout, stderr } = await run(join(lab, '..', command), ...words, '--short', '--json');
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    const result = JSON.parse(lines[0] ?? '');
    const failed = result.steps.filter((step: { passed: boolean }) => !step.passed);
    expect({ failed, stderr: failed.length > 0 ? stderr : '' }).toEqual({ failed: [], stderr: '' });
    expect(result).toMatchObject({ scenario: name, passed: true });
  },
  limitMs,
);
