import { closeSync, mkdirSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { programsOf } from './programs.ts';
import { statePaths, writePrivate } from './state.ts';
import { startTime } from './supervision.ts';

/**
 * Keeps agent and master, if one is here, running where there is no systemd: starts them, starts them again when they end, each time a
 * little later, and stops them on SIGTERM. The agent goes first: default deny stands before anything else.
 */

const [stateDir = '', listen, node = ''] = process.argv.slice(2);
const paths = statePaths(stateDir);
const firstPauseMs = 250;
const longestPauseMs = 10_000;
const steadyMs = 30_000;
const logLimitBytes = 20 * 1024 * 1024;

let isStopping = false;
const children = new Map<string, Bun.Subprocess>();
const stopped = Promise.withResolvers<void>();

async function keep(name: string, argv: string[]): Promise<void> {
  let pauseMs = firstPauseMs;
  while (!isStopping) {
    const started = Date.now();
    const log = openLog(name);
    // Should this process be killed, nothing may stay behind that holds the port and the lock of the next.
    const child = Bun.spawn(['setpriv', '--pdeathsig', 'TERM', ...argv], {
      stdin: 'ignore',
      stdout: log,
      stderr: log,
      cwd: '/',
    });
    closeSync(log);
    children.set(name, child);
    await child.exited;
    if (isStopping) return;
    pauseMs = Date.now() - started > steadyMs ? firstPauseMs : Math.min(longestPauseMs, pauseMs * 2);
    await Promise.race([Bun.sleep(pauseMs), stopped.promise]);
  }
}

/** One older log is kept beside the current one. */
function openLog(name: string): number {
  const path = join(paths.logs, `${name}.log`);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logLimitBytes) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

function stop(): void {
  isStopping = true;
  stopped.resolve();
  for (const child of children.values()) child.kill('SIGTERM');
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
mkdirSync(paths.logs, { recursive: true, mode: 0o700 });
writePrivate(paths.supervisor, JSON.stringify({ pid: process.pid, startTime: startTime(process.pid) }));
await Promise.all(
  Object.entries(programsOf(stateDir, listen === undefined ? undefined : { listen, node })).map(([name, argv]) =>
    keep(name, argv),
  ),
);
unlinkSync(paths.supervisor);
