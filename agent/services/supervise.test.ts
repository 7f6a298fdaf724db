import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../fixture/hosts.ts';
import { runCommand } from '../system/command.ts';
import { type Daemon, pauseAfter, serviceDirectory } from './daemon.ts';
import { parseStat } from './processes.ts';
import { endDaemons } from './run-record.ts';
import { openSupervisor, type Supervisor } from './supervise.ts';

test.each([
  ['one that lived long is started at once', 60_000, 5_000, 0],
  ['the first early death costs little', 50, 0, 100],
  ['the next more', 50, 100, 200],
  ['and never too much', 50, 8_000, 10_000],
])('%s', (_, livedMs, before, expected) => expect(pauseAfter(livedMs, before)).toBe(expected));

test('a name with blanks and parentheses does not confuse', () =>
  expect(parseStat('12 (a) b (c) S 1 12 12 0 -1 4194304 11 0 0 0 0 0 0 0 20 0 1 0 2659103 430080')).toEqual({
    state: 'S',
    session: 12,
    startTime: 2_659_103,
  }));

describe('a supervised program', () => {
  let directory: string;
  let supervisor: Supervisor;
  let log: string[];
  const open = () => openSupervisor({ run: runCommand, directory, log: (line) => log.push(line) });
  const files = () => serviceDirectory(directory, 'echo');

  /** Writes the configuration that it took up to a file, and has a worker; `refuse` in a configuration is an error. */
  const daemon = (content: string, change: Partial<Daemon> = {}): Daemon => ({
    argv: [
      '/bin/sh',
      '-c',
      'sleep 999 & take() { cat "$1" > "$1.taken"; }; trap "take $1" HUP; take $1; while :; do wait; sleep 0.05; done',
      'echo',
      join(files(), 'echo.conf'),
    ],
    config: { path: join(files(), 'echo.conf'), content },
    check: (path) => ['/bin/sh', '-c', '! grep refuse "$1" >&2', 'check', path],
    reload: 'SIGHUP',
    ...change,
  });
  const taken = () => readFile(join(files(), 'echo.conf.taken'), 'utf8').catch(() => undefined);
  const pid = () => supervisor.state('echo').pid;
  const becomes = (content: string) => until(`it takes ${content}`, async () => (await taken()) === content);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-services-'));
    log = [];
    supervisor = open();
  });
  afterEach(async () => {
    supervisor.stop();
    await endDaemons(directory);
    await rm(directory, { recursive: true, force: true });
  });

  test('takes up a new configuration and stays the same process', async () => {
    supervisor.set('echo', daemon('one'));
    await becomes('one');
    const before = pid();
    supervisor.set('echo', daemon('two'));
    await becomes('two');
    expect(pid()).toBe(before ?? 0);
    supervisor.set('echo', daemon('three', { reload: 'restart' }));
    await becomes('three');
    expect(pid()).not.toBe(before ?? 0);
  });

  test('keeps what is in force when it refuses the new one, and says why', async () => {
    supervisor.set('echo', daemon('one'));
    await becomes('one');
    supervisor.set('echo', daemon('refuse this'));
    await until('it is told', () => supervisor.problems().length > 0);
    expect(supervisor.problems()[0]).toContain('refuses its new configuration, the one before stays in force');
    expect(supervisor.problems()[0]).toContain('refuse this');
    expect(await readFile(join(files(), 'echo.conf'), 'utf8')).toBe('one');
    supervisor.set('echo', daemon('two'));
    await becomes('two');
    await until('all is well', () => supervisor.problems().length === 0);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('is started anew after %s, and nothing of it is left', async (signal) => {
    const pidFile = join(directory, 'stale.pid');
    await writeFile(pidFile, '1');
    supervisor.set('echo', daemon('one', { pidFiles: [pidFile] }));
    await becomes('one');
    const before = pid() ?? 0;
    const workers = await sessionOf(before);
    expect(workers.length).toBeGreaterThan(1);
    await writeFile(pidFile, '1');
    process.kill(before, signal);
    await until('another runs', () => (pid() ?? before) !== before);
    expect(await sessionOf(before)).toEqual([]);
    expect(await readFile(pidFile, 'utf8').catch(() => 'none')).toBe('none');
  });

  test('outlives its supervisor and is found again, even without its record', async () => {
    supervisor.set('echo', daemon('one'));
    await becomes('one');
    const before = pid() ?? 0;
    supervisor.stop();
    await rm(join(files(), 'run.json'));
    supervisor = open();
    supervisor.set('echo', daemon('one'));
    await until('it is found', () => pid() === before);
    supervisor.stop();
    supervisor = open();
    supervisor.set('echo', undefined);
    await until('it is gone', async () => (await sessionOf(before)).length === 0);
    await until('so are its files', async () => !(await readdir(directory)).includes('echo'));
  });

  test('that ends again and again is a problem, told in its own words', async () => {
    supervisor.set(
      'echo',
      daemon('one', { argv: ['/bin/sh', '-c', 'echo "no such interface" >&2; exit 1', directory] }),
    );
    await until('it is told', () => supervisor.problems().length > 0);
    expect(supervisor.problems()[0]).toContain('ends again and again; the last it said: no such interface');
  });

  test('that is not installed is told', async () => {
    supervisor.set('echo', daemon('one', { argv: ['/usr/sbin/keepalived-of-nowhere'] }));
    await until('it is told', () => supervisor.problems().length > 0);
    expect(supervisor.problems()[0]).toContain('keepalived-of-nowhere is not installed');
  });
});

async function sessionOf(leader: number): Promise<string[]> {
  const child = Bun.spawn(['ps', '-o', 'pid=,stat=', '-s', String(leader)]);
  const lines = (await child.stdout.text()).trim().split('\n');
  return lines.filter((line) => line !== '' && !line.includes('Z'));
}
