import { spawn } from 'node:child_process';
import { close, open } from 'node:fs';
import { stat, truncate } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ClientFailure, messageOf } from './failure.ts';
import type { Platform } from './platform/platform.ts';
import { ProcessFile } from './process-file.ts';
import type { StateFiles } from './state-files.ts';

const maxLogBytes = 256 * 1024;

/** Keeps the heap of an idle program small; it has little to do and no hurry. */
const thrift = 'bun' in process.versions ? ['--smol'] : ['--max-semi-space-size=1'];

/** Starts the watcher as a process of its own that outlives this one. One that runs already is left alone. */
export async function startWatcher(files: StateFiles, platform: Platform, script: string): Promise<void> {
  const processFile = new ProcessFile(files, platform);
  if ((await processFile.running()) !== undefined) return;
  try {
    const before = await stat(files.logFile).catch(() => undefined);
    if (before !== undefined && before.size > maxLogBytes) await truncate(files.logFile);
    const log = await promisify(open)(files.logFile, 'a', 0o600);
    const child = spawn(process.execPath, [...thrift, script, 'watch', '--state-dir', files.directory], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    if (child.pid !== undefined) await processFile.record(child.pid);
    child.unref();
    await promisify(close)(log);
  } catch (cause) {
    throw new ClientFailure(
      'failed',
      'watcher-not-started',
      `The watcher could not be started: ${messageOf(cause)}`,
      'The tunnel is up, but nothing renews it. Run `postern-client up`.',
      cause,
    );
  }
}
