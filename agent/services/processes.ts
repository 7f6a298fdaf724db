import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process for certain: the kernel gives its number away again, but not with the same start. */
export type ProcessId = { pid: number; startTime: number };

type Stat = { state: string; session: number; startTime: number };

/** Of `/proc/PID/stat`; the name in it may hold blanks and parentheses. */
export function parseStat(text: string): Stat | undefined {
  const [state, , , session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTime = Number(rest[15]);
  if (state === undefined || session === undefined || !Number.isFinite(startTime)) return undefined;
  return { state, session: Number(session), startTime };
}

/** Who runs under a number. One that has ended and waits to be collected does not run. */
export function processAt(pid: number): (ProcessId & Stat) | undefined {
  const stat = parseStat(textOf(`/proc/${pid}/stat`));
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  return { pid, ...stat };
}

/** How long ago a process began; the kernel counts in hundredths of a second. */
export function ageMs(pid: number): number {
  const startTime = processAt(pid)?.startTime;
  const uptime = Number(textOf('/proc/uptime').split(' ')[0]);
  return startTime === undefined ? 0 : uptime * 1000 - startTime * 10;
}

export function isRunning({ pid, startTime }: ProcessId): boolean {
  return processAt(pid)?.startTime === startTime;
}

/** What still runs of a session after its first process ended, or with it. */
export function runningInSession(session: number): ProcessId[] {
  return allProcesses().filter((process) => process.session === session);
}

/**
 * The process on this network that was started with these arguments and leads its own session. Some put words of their
 * own before the arguments.
 */
export function findLeader(argv: readonly string[]): ProcessId | undefined {
  const words = argv.join(' ');
  const here = networkOf('self');
  return allProcesses().find(
    ({ pid, session }) =>
      pid === session &&
      textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(words) &&
      networkOf(pid) === here,
  );
}

function allProcesses() {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (processAt(Number(name)) ?? []) : []));
}

function networkOf(process: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Empty when the process is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
