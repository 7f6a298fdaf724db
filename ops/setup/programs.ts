import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dir, '../..');

/** What the node is called that runs the master, unless the machine was another node before. */
export const firstNode = 'n1';

/** Where a master listens, and which node its machine is. */
export type MasterPlace = { listen: string; node: string };

/** What a node runs, as command lines: an agent, and a master where it has one. */
export function programsOf(stateDir: string, master: MasterPlace | undefined): Record<string, string[]> {
  const bun = (file: string) => [process.execPath, join(repository, file)];
  const agent = [...bun('agent/main.ts'), 'run', '--state-dir', stateDir];
  if (master === undefined) return { agent };
  const { listen, node } = master;
  return {
    agent,
    master: [...bun('api/main.ts'), 'serve', '--state-dir', stateDir, '--listen', listen, '--node', node],
  };
}

export const masterProgram = (...words: string[]) => [process.execPath, join(repository, 'api/main.ts'), ...words];
export const agentProgram = (...words: string[]) => [process.execPath, join(repository, 'agent/main.ts'), ...words];
