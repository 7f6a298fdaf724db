import { mustBeJoined } from './membership.ts';
import { ProcessFile } from './process-file.ts';
import { interfaceName } from './tunnel.ts';
import { Watcher } from './watch/watcher.ts';
import type { Watching } from './watch/world.ts';

/**
 * Keeps the tunnel as the newest bundle says, and on the best node, until `signal` ends it. The tunnel stays when the
 * watcher goes.
 *
 * @returns false when another watcher is at it already.
 */
export async function watch(watching: Watching, signal: AbortSignal): Promise<boolean> {
  const { files, platform, log } = watching;
  const processFile = new ProcessFile(files, platform);
  const joined = await mustBeJoined(files);
  if (!(await processFile.claim())) return false;
  const watcher = await Watcher.open(watching, joined);
  log(`watching ${interfaceName} as process ${process.pid}`);
  signal.addEventListener('abort', () => watcher.close());
  try {
    if (!signal.aborted) await watcher.run(() => processFile.isHeld());
  } finally {
    watcher.close();
    await processFile.release();
  }
  return true;
}
