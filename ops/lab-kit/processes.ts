import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process as the machine sees it. */
export type Running = { pid: number; argv: string };

/** The only child of a process, if it has one by now. */
export function childOf(parent: number): number | undefined {
  return pids().find((pid) => field(pid, 'PPid') === parent);
}

/** Every live process in the pid namespace of the first of `own`, but those. */
export function processesBeside(own: readonly number[]): Running[] {
  const namespace = namespaceOf(own[0] ?? 0);
  if (namespace === undefined) return [];
  return pids()
    .filter((pid) => !own.includes(pid) && namespaceOf(pid) === namespace)
    .map((pid) => ({ pid, argv: read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim() }))
    .filter(({ argv }) => argv !== '');
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function field(pid: number, name: string): number | undefined {
  const value = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(read(`/proc/${pid}/status`))?.[1];
  return value === undefined ? undefined : Number(value);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** Processes end while one looks: a file that has gone reads as empty. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
