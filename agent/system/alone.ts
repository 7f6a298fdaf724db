import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { SetupError } from './config.ts';
import { answersOn } from './wireguard-userspace.ts';

/**
 * Makes sure that one agent at most works on a state directory. The kernel frees a socket's listener when its process
 * dies, however it dies, so nothing has to be cleaned up.
 *
 * @throws SetupError when another one runs.
 */
export async function beAlone(socketPath: string): Promise<Server> {
  if (await answersOn(socketPath))
    throw new SetupError(`an agent already runs on this state directory; stop it first (it listens on ${socketPath})`);
  await rm(socketPath, { force: true });
  // Whoever asks hangs up by itself. To be the first to hang up would look like a refusal on the other side.
  const server = createServer((connection) => connection.on('error', () => undefined).resume());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  return server;
}
