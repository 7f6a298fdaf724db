import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dir, '../..');

/** What the node is called that runs the master. */
export const firstNode = 'n1';

/** What a node runs, as command lines: an agent, and a master where there is somewhere for it to listen. */
export function programsOf(stateDir: string, listen: string | undefined): Record<string, string[]> {
  const bun = (file: string) => [process.execPath, join(repository, file)];
  const agent = [...bun('agent/main.ts'), 'run', '--state-dir', stateDir];
  if (listen === undefined) return { agent };
  return {
    agent,
    master: [...bun('api/main.ts'), 'serve', '--state-dir', stateDir, '--listen', listen, '--node', firstNode],
  };
}

export const masterProgram = (...words: string[]) => [process.execPath, join(repository, 'api/main.ts'), ...words];
export const agentProgram = (...words: string[]) => [process.execPath, join(repository, 'agent/main.ts'), ...words];
