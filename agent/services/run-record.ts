import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, rm, stat, truncate } from 'node:fs/promises';
import * as v from 'valibot';
import { readFileIfPresent, writeFileAtomically } from '../system/files.ts';
import { type Daemon, serviceDirectory } from './daemon.ts';
import { findLeader, isRunning, type ProcessId, processAt, runningInSession } from './processes.ts';

/** What runs, so that another agent finds it. `loaded` is the digest of the configuration it last took up. */
const RunRecord = v.object({ pid: v.number(), startTime: v.number(), argv: v.array(v.string()), loaded: v.string() });
export type RunRecord = v.InferOutput<typeof RunRecord>;

const graceMs = 3_000;
const leftGraceMs = 300;
const longestLog = 1_000_000;
const recordName = 'run.json';
const logName = 'log';

/** The processes of one daemon, and the files that tell of them. */
export function openProcesses(directory: string, name: string) {
  const own = serviceDirectory(directory, name);
  const recordPath = `${own}/${recordName}`;
  const logPath = `${own}/${logName}`;

  const keep = (record: RunRecord) => writeFileAtomically(recordPath, `${JSON.stringify(record)}\n`);

  return {
    keep,

    /**
     * What an agent before this one started. One that was stopped before it could write that down is recognised by its
     * words, and is taken to know no configuration.
     */
    async findAgain(daemon: Daemon | undefined): Promise<RunRecord | undefined> {
      const record = await readRecord(recordPath);
      if (record !== undefined && isRunning(record)) return record;
      if (daemon === undefined) return record;
      const found = findLeader(daemon.argv);
      if (found === undefined) return record;
      const adopted = { pid: found.pid, startTime: found.startTime, argv: [...daemon.argv], loaded: '' };
      await keep(adopted);
      return adopted;
    },

    /** Starts it in a session of its own, so that it outlives the agent. @throws when it cannot be started. */
    launch({ argv: [program, ...words] }: Daemon): ProcessId {
      const output = openSync(logPath, 'a', 0o600);
      try {
        const child = spawn(program, words, {
          cwd: '/',
          detached: true,
          stdio: ['ignore', output, output],
          env: { PATH: process.env.PATH, LC_ALL: 'C' },
        });
        child.on('error', () => undefined);
        child.unref();
        if (child.pid === undefined) throw new Error(`${program} could not be started`);
        return processAt(child.pid) ?? { pid: child.pid, startTime: 0 };
      } finally {
        closeSync(output);
      }
    },

    async lastWords(): Promise<string> {
      const text = (await readFileIfPresent(logPath)) ?? '';
      return text.trim().split('\n').slice(-3).join('; ').slice(-300) || '(it said nothing)';
    },

    async trimLog(): Promise<void> {
      if ((await stat(logPath)).size > longestLog) await truncate(logPath, 0);
    },

    removeFiles: () => rm(own, { recursive: true, force: true }),
  };
}

/**
 * Ends a process and all that it started. The first one is asked, and given time to end the others; what it leaves is
 * asked as well, and then not asked any more.
 */
export async function endSession(leader: number): Promise<void> {
  send(leader, 'SIGTERM');
  await gone(leader, (left) => !left.some(({ pid }) => pid === leader), graceMs);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const { pid } of runningInSession(leader)) send(pid, signal);
    await gone(leader, (left) => left.length === 0, leftGraceMs);
  }
}

async function gone(leader: number, isDone: (left: readonly ProcessId[]) => boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isDone(runningInSession(leader)) && performance.now() < end) await Bun.sleep(10);
}

export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Ends all daemons of a directory, and removes it. For a machine that is no node any more. */
export async function endDaemons(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const record = await readRecord(`${serviceDirectory(directory, name)}/${recordName}`);
    // A session's number stays taken while anything of it runs, so the number of one that is over is nobody else's session
    // unless a process was given it anew.
    if (record !== undefined && (isRunning(record) || processAt(record.pid) === undefined))
      await endSession(record.pid);
  }
  await rm(directory, { recursive: true, force: true });
}

async function readRecord(path: string): Promise<RunRecord | undefined> {
  try {
    return v.parse(RunRecord, JSON.parse((await readFileIfPresent(path)) ?? ''));
  } catch {
    return undefined;
  }
}
