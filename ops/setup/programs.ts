import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dir, '../..');

/** What the node is called that runs the master. */
export const firstNode = 'n1';

/** The two programs of a node that runs the master, as command lines. */
export function programsOf(stateDir: string, listen: string): Record<'master' | 'agent', string[]> {
  const bun = (file: string) => [process.execPath, join(repository, file)];
  return {
    master: [...bun('api/main.ts'), 'serve', '--state-dir', stateDir, '--listen', listen, '--node', firstNode],
    agent: [...bun('agent/main.ts'), 'run', '--state-dir', stateDir],
  };
}

export const masterProgram = (...words: string[]) => [process.execPath, join(repository, 'api/main.ts'), ...words];
export const agentProgram = (...words: string[]) => [process.execPath, join(repository, 'agent/main.ts'), ...words];
