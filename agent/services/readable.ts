import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Where a daemon that has given up its rights can read what this agent, and no other on this machine, writes for it. The
 * state directory is for its owner alone.
 */
export function readableDirectory(services: string): string {
  return `/run/postern/names-${createHash('sha256').update(services).digest('hex').slice(0, 12)}`;
}

/** Replaces a file as a whole. All may read it. */
export async function writeReadable(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  for (const one of [dirname(directory), directory]) {
    await mkdir(one, { recursive: true });
    await chmod(one, 0o755);
  }
  await writeFile(`${path}.new`, text);
  await chmod(`${path}.new`, 0o644);
  await rename(`${path}.new`, path);
}

export const removeReadable = (services: string) => rm(readableDirectory(services), { recursive: true, force: true });

/** In a namespace of one user there is nobody else to become. */
export function hasManyUsers(): boolean {
  const mapped = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return mapped.some((line) => Number(line.trim().split(/\s+/)[2]) > 65_000);
}
