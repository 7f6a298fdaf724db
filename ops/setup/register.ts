import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { PublicKey, SigningKey } from '#contract/key.ts';
import { type Master, openMaster } from '../cli/master.ts';
import { run } from './command.ts';
import { agentProgram } from './programs.ts';
import { type SetupConfig, type StatePaths, StateProblem } from './state.ts';

const AgentKeys = v.object({ publicKey: PublicKey, agentKey: SigningKey, meshKey: PublicKey });
const Nodes = v.object({ items: v.array(NodeResource) });

/** How this machine reaches its own master, whatever address that listens on. */
export function localUrl(listen: string): URL {
  const port = listen.slice(listen.lastIndexOf(':') + 1);
  const host = listen.slice(0, listen.lastIndexOf(':'));
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return new URL(`https://${reachable}:${port}`);
}

/** Makes the agent's keys, if there are none. @returns their public halves. */
export async function initAgent({ stateDir }: StatePaths): Promise<v.InferOutput<typeof AgentKeys>> {
  return v.parse(AgentKeys, JSON.parse(await run(agentProgram('init', '--state-dir', stateDir))));
}

/** The same, and tells the agent whose node it is. */
export async function prepareAgent(
  paths: StatePaths,
  config: SetupConfig,
  root: string,
): Promise<v.InferOutput<typeof AgentKeys>> {
  const keys = await initAgent(paths);
  const listenPort = config.endpoint.slice(config.endpoint.lastIndexOf(':') + 1);
  const words = [
    '--node',
    config.node,
    '--master',
    localUrl(config.listen).origin,
    '--root',
    root,
    '--listen-port',
    listenPort,
  ];
  await run(agentProgram('configure', '--state-dir', paths.stateDir, ...words));
  return keys;
}

/** The master once it answers. @throws StateProblem when it does not come up. */
export async function awaitMaster(paths: StatePaths, config: SetupConfig, root: string, logs: string): Promise<Master> {
  const token = readFileSync(paths.ownerToken, 'utf8').trim();
  let last: unknown;
  for (const end = Date.now() + 30_000; Date.now() < end; await Bun.sleep(100)) {
    try {
      return await openMaster(localUrl(config.listen), root, token);
    } catch (error) {
      last = error;
    }
  }
  throw new StateProblem(`The master does not answer: ${last instanceof Error ? last.message : last}. See ${logs}.`);
}

/** Registers this node, if it is not yet. @returns whether it had to be. */
export async function registerNode(
  master: Master,
  config: SetupConfig,
  { meshKey, ...keys }: v.InferOutput<typeof AgentKeys>,
): Promise<boolean> {
  const { items } = await master.call(Nodes, 'GET', '/v1/nodes');
  const known = items.find((node) => node.name === config.node);
  if (known === undefined) {
    const node = { name: config.node, ...keys, endpoints: [config.endpoint], mesh: { publicKey: meshKey } };
    await master.call(NodeResource, 'POST', '/v1/nodes', node);
    return true;
  }
  if (known.publicKey !== keys.publicKey) {
    throw new StateProblem(`The roster knows ${config.node} by another key. Its key file was replaced: put it back.`);
  }
  return false;
}

/** Waits until the node has its snapshot in force. @throws StateProblem with what the node says is in the way. */
export async function awaitNode(master: Master, name: string, logs: string): Promise<void> {
  let problem: string | null = null;
  for (const end = Date.now() + 30_000; Date.now() < end; await Bun.sleep(100)) {
    const node = await master.call(NodeResource, 'GET', `/v1/nodes/${name}`);
    problem = node.problem;
    if (node.connected && node.applied !== null && problem === null) return;
  }
  throw new StateProblem(`The node ${name} does not become ready: ${problem ?? 'it says nothing'}. See ${logs}.`);
}
