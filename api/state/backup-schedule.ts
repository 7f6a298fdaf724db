import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { masterPaths } from './layout.ts';

const dayMs = 86_400_000;
/** A master that was just started has other things to do. */
const firstLookMs = 10 * 60_000;
const everyMs = 3_600_000;
export const keptBackups = 7;

/**
 * Keeps a backup of each of the last days in `backups` of the state directory: against mistakes and damage. Against the
 * loss of the machine they have to be carried away, which is safe: only the recovery passphrase opens them.
 */
export function keepBackups(stateDir: string, log: Pick<Logger, 'info' | 'error'>): { stop(): void } {
  let timer = setTimeout(tick, firstLookMs);
  let isStopped = false;
  async function tick(): Promise<void> {
    try {
      const made = await backUpWhenDue(stateDir, new Date());
      if (made !== undefined) log.info({ file: made }, 'a backup was made');
    } catch (err) {
      log.error({ err }, 'the daily backup could not be made');
    }
    if (!isStopped) timer = setTimeout(tick, everyMs);
  }
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Makes a backup when the newest is a day old, in a process of its own: copying takes time in which nobody would be
 * answered. Of those that are there the newest seven stay.
 *
 * @returns the file; undefined when none is due, or no key for backups is kept yet.
 */
export async function backUpWhenDue(stateDir: string, now: Date): Promise<string | undefined> {
  if (!existsSync(masterPaths(stateDir).backupRecipient)) return undefined;
  const folder = join(stateDir, 'backups');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const newest = backupsIn(folder).at(-1);
  if (newest !== undefined && now.getTime() - newest.at < dayMs && newest.at <= now.getTime()) return undefined;
  const out = join(folder, `postern-${now.toISOString().replaceAll(':', '.')}.backup`);
  const main = join(import.meta.dir, '../main.ts');
  const argv = [process.execPath, main, 'backup', 'create', '--state-dir', stateDir, '--out', out];
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
  const [said, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new Error(said.trim());
  for (const { name } of backupsIn(folder).slice(0, -keptBackups)) rmSync(join(folder, name));
  return out;
}

/** Oldest first, by the moment in their names. */
function backupsIn(folder: string): { name: string; at: number }[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const [, date, hours, minutes, seconds] = /^postern-(.{10})T(..)\.(..)\.(.{6}Z)\.backup$/.exec(name) ?? [];
      const at = Date.parse(`${date}T${hours}:${minutes}:${seconds}`);
      return Number.isNaN(at) ? [] : [{ name, at }];
    })
    .sort((a, b) => a.at - b.at);
}
