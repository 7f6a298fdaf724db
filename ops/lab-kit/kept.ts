import { globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import type { Lab } from './lab.ts';

/** A lab that runs now: the process that holds it, and the first process of each of its hosts. */
const RunningLab = v.object({
  pid: v.number(),
  scenario: v.string(),
  hosts: v.record(v.string(), v.number()),
});
export type RunningLab = v.InferOutput<typeof RunningLab>;

const stateFile = 'lab.json';

/** Lets `ops/lab shell` find this lab. */
export function announce(lab: Lab, scenario: string): void {
  const hosts = Object.fromEntries([...lab.hosts].map(([name, { pid }]) => [name, pid]));
  const running: RunningLab = { pid: process.pid, scenario, hosts };
  writeFileSync(join(lab.logs, stateFile), JSON.stringify(running), { mode: 0o600 });
}

/** The labs of this user that run now, newest first. What labs that were killed left behind is removed. */
export function runningLabs(): RunningLab[] {
  const mine = globSync(join(tmpdir(), 'postern-lab-*', stateFile))
    .map((file) => ({ file, stat: statSync(file) }))
    .filter(({ stat }) => stat.uid === process.getuid?.())
    .sort((a, b) => b.stat.mtimeMs - a.stat.mtimeMs);
  return mine.flatMap(({ file }) => {
    const running = v.parse(RunningLab, JSON.parse(readFileSync(file, 'utf8')));
    if (isAlive(running.pid)) return [running];
    rmSync(dirname(file), { recursive: true, force: true });
    return [];
  });
}

function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('lab-kit');
  } catch {
    return false;
  }
}
