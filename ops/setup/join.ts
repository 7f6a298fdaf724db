import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { Thumbprint } from '#contract/key.ts';
import { Name } from '#contract/name.ts';
import { Endpoint } from '#contract/network.ts';
import { NodeEnrolment } from '#contract/node-enrolment.ts';
import { healthPort } from '#contract/probe.ts';
import { openMaster, Refused } from '../cli/master.ts';
import { readCode } from './code.ts';
import { CommandFailed, run } from './command.ts';
import { defaults, type UpOptions } from './options.ts';
import { agentProgram } from './programs.ts';
import { initAgent } from './register.ts';
import { type Services, servicesFor } from './services.ts';
import { type StatePaths, StateProblem, writePrivate } from './state.ts';

/** What a machine that runs no master was told of the one it belongs to; `node` once it belongs to it. */
export const Membership = v.object({
  master: v.string(),
  root: Thumbprint,
  endpoint: v.optional(Endpoint),
  node: v.optional(Name),
});
export type Membership = v.InferOutput<typeof Membership>;

export type Joined = {
  node: string;
  master: string;
  /** None, and no addresses, where the master does not answer: it is the one that knows them. */
  endpoints: string[];
  tunnelAddress: string | null;
  meshAddress: string | null;
  created: boolean;
  changed: boolean;
};

/** What this machine was told before; undefined when it was never to be a node of a master elsewhere. */
export function readMembership(paths: StatePaths): Membership | undefined {
  if (!existsSync(paths.membership)) return undefined;
  try {
    return v.parse(Membership, JSON.parse(readFileSync(paths.membership, 'utf8')));
  } catch (cause) {
    throw new StateProblem(`${paths.membership} is damaged. Begin anew: ops/down --purge, then a new code.`, { cause });
  }
}

/**
 * Makes this machine a node of a master elsewhere, and starts its agent. Every step looks first: a code is asked for
 * until the machine is a node, and never again. `say` tells a person what takes its time.
 *
 * @throws StateProblem, CommandFailed; Refused, Unreachable and Untrusted of the master
 */
export async function join(
  paths: StatePaths,
  wanted: UpOptions,
  say: (line: string) => void,
): Promise<{ joined: Joined; services: Services }> {
  const known = membershipOf(paths, wanted);
  const services = servicesFor(paths, undefined);
  const keys = await initAgent(paths);
  const node = known.node ?? (await enrol(paths, known, wanted, keys, say));
  const listenPort = known.endpoint?.slice(known.endpoint.lastIndexOf(':') + 1) ?? String(defaults.port);
  const words = ['--node', node, '--master', known.master, '--root', known.root, '--listen-port', listenPort];
  await run(agentProgram('configure', '--state-dir', paths.stateDir, ...words));
  const isStarted = await services.start();
  if (isStarted) say('starting the agent');
  const isNew = known.node === undefined;
  const shown = await awaitHealthy(paths, node, services.logs, isNew);
  const joined = {
    node,
    master: known.master,
    endpoints: shown?.endpoints ?? [],
    tunnelAddress: shown?.tunnelAddress ?? null,
    meshAddress: shown?.mesh?.address ?? null,
    created: isNew,
    changed: isStarted || isNew,
  };
  return { joined, services };
}

function membershipOf(paths: StatePaths, { join: master, root, endpoint }: UpOptions): Membership {
  if (existsSync(paths.config))
    throw new StateProblem(`${paths.stateDir} has a master of its own, whose node this machine is already.`);
  const known = readMembership(paths);
  const asked = { master, root, endpoint };
  const others = (['master', 'root', 'endpoint'] as const)
    .filter((field) => asked[field] !== undefined && known?.[field] !== undefined && asked[field] !== known[field])
    .map((field) => `--${field === 'master' ? 'join' : field} ${asked[field]} (it is ${known?.[field]})`);
  if (others.length > 0)
    throw new StateProblem(
      `${paths.stateDir} was set up otherwise: ${others.join(', ')}. Leave the option out, or begin anew after ` +
        'ops/down --purge. Where a node is reached is changed at the master: postern node set.',
    );
  if (known !== undefined) return known;
  if (master === undefined || root === undefined)
    throw new StateProblem('Give --join URL and --root THUMBPRINT, as postern node add shows them.');
  return { master, root, ...(endpoint === undefined ? {} : { endpoint }) };
}

/** @returns the name that the code gives this machine. */
async function enrol(
  paths: StatePaths,
  known: Membership,
  { codeFile, behindNat }: UpOptions,
  { publicKey, agentKey, meshKey }: Awaited<ReturnType<typeof initAgent>>,
  say: (line: string) => void,
): Promise<string> {
  // Before the code is asked for: one that is typed goes to this master and to no other.
  const master = await openMaster(new URL(known.master), known.root);
  const { endpoint } = known;
  const request = {
    code: readCode(codeFile),
    publicKey,
    agentKey,
    mesh: { publicKey: meshKey, ...(behindNat ? { endpoints: [] } : {}) },
    ...(endpoint === undefined ? {} : { endpoints: [endpoint] }),
  };
  say('showing the code to the master');
  const { name } = await master.call(NodeEnrolment, 'POST', '/v1/node-enrolments', request).catch((error) => {
    if (!(error instanceof Refused)) throw error;
    throw new StateProblem(`${error.problem.title}. ${error.problem.detail ?? ''}`.trim(), { cause: error });
  });
  writePrivate(paths.membership, `${JSON.stringify({ ...known, node: name }, undefined, 2)}\n`);
  return name;
}

/**
 * Waits until the master has heard that all is in force here. A machine that was a node before goes on without its
 * master, and what its own agent says counts then.
 *
 * @returns undefined when the master does not answer.
 * @throws StateProblem with what is in the way.
 */
async function awaitHealthy(
  paths: StatePaths,
  name: string,
  logs: string,
  isNew: boolean,
): Promise<NodeResource | undefined> {
  let why = 'it says nothing';
  for (const end = Date.now() + 30_000; Date.now() < end; await Bun.sleep(300)) {
    try {
      const node = v.parse(NodeResource, JSON.parse(await run(agentProgram('self', '--state-dir', paths.stateDir))));
      const isApplied = node.connected && node.applied !== null && node.problem === null;
      if (isApplied && node.healthy !== false) return node;
      why = node.problem ?? (node.reasons.join('; ') || 'it has not said yet what it has in force');
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      why = error.message;
      if (!isNew && (await isWell())) return undefined;
    }
  }
  throw new StateProblem(`The node ${name} has joined, and does not become healthy: ${why}. See ${logs}.`);
}

/** What the agent says of this node to its own machine. */
async function isWell(): Promise<boolean> {
  const signal = AbortSignal.timeout(1_000);
  return fetch(`http://127.0.0.1:${healthPort}/`, { signal }).then(
    ({ ok }) => ok,
    () => false,
  );
}
