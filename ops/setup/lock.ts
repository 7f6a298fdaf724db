import { closeSync, openSync } from 'node:fs';
import type { StatePaths } from './state.ts';

/**
 * Holds the state directory's lock until it is given back or this process ends, however it ends. While another `ops/up`
 * or `ops/down` has it, `onWait` is called and this waits.
 *
 * @returns what gives it back.
 */
export async function holdLock(paths: StatePaths, onWait: () => void): Promise<() => Promise<void>> {
  closeSync(openSync(paths.lock, 'a', 0o600));
  // flock(1) keeps the lock as long as cat runs, which is as long as we hold the other end of its input.
  const argv = ['flock', '--exclusive', paths.lock, 'sh', '-c', 'echo; exec cat'];
  const child = Bun.spawn(argv, { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  const waiting = setTimeout(onWait, 500);
  const { done } = await child.stdout.getReader().read();
  clearTimeout(waiting);
  if (done) throw new Error(`${paths.lock} could not be locked`);
  child.unref();
  return async () => {
    await child.stdin.end();
    await child.exited;
  };
}
