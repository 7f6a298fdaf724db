import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { StatePaths } from './state.ts';

const SupervisorFile = v.object({ pid: v.number(), startTime: v.string() });

/** When a process began, in clock ticks since boot (proc(5), field 22): tells it from a later one with its number. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The pid of the supervisor that is running for this state directory; a stale file counts as none. */
export function runningSupervisor(paths: StatePaths): number | undefined {
  if (!existsSync(paths.supervisor)) return undefined;
  const file = v.safeParse(SupervisorFile, parse(readFileSync(paths.supervisor, 'utf8')));
  if (!file.success || startTime(file.output.pid) !== file.output.startTime) return undefined;
  return file.output.pid;
}

/** Asks a process to end and waits until it has. @returns false when it is still there after the wait. */
export async function endProcess(pid: number, waitMs = 10_000): Promise<boolean> {
  const begun = startTime(pid);
  if (begun === undefined) return true;
  process.kill(pid, 'SIGTERM');
  for (const end = Date.now() + waitMs; Date.now() < end; await Bun.sleep(50)) {
    if (startTime(pid) !== begun) return true;
  }
  return false;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
