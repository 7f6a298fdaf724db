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
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  return server;
}
