import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { readPassphrase } from '../cli/local.ts';
import { run } from './command.ts';
import { ownAddress } from './discover.ts';
import { readMembership } from './join.ts';
import { defaults, type UpOptions } from './options.ts';
import { firstNode, masterProgram } from './programs.ts';
import { servicesFor } from './services.ts';
import { readConfig, type SetupConfig, type StatePaths, StateProblem, writePrivate } from './state.ts';

const Restored = v.object({
  epoch: v.number(),
  revision: v.number(),
  publicUrl: v.string(),
  rootThumbprint: v.string(),
  users: v.number(),
  devices: v.number(),
  backup: v.object({ createdAt: v.string(), epoch: v.number(), revision: v.number() }),
  putAside: v.optional(v.string()),
});
type Restored = v.InferOutput<typeof Restored>;

const AgentConfig = v.object({ node: v.string(), listenPort: v.number() });

/**
 * Makes this machine the master of a backup, before anything runs. What was said on the command line counts more than
 * what the backup has.
 *
 * @returns what a person should know.
 * @throws CommandFailed, StateProblem
 */
export async function restoreMaster(paths: StatePaths, wanted: UpOptions & { restore: string }): Promise<string[]> {
  if (existsSync(paths.master) && !wanted.force)
    throw new StateProblem(`There is a master in ${paths.stateDir} already. Put it aside with --force.`);
  if (!existsSync(wanted.restore)) throw new StateProblem(`There is no file ${wanted.restore}.`);
  const passphrase = await readPassphrase(wanted.recoveryFile);
  const before = agentHere(paths);
  const isMember = readMembership(paths) !== undefined;
  const here = readConfig(paths) ?? { listen: defaults.listen, node: firstNode };
  const services = servicesFor(paths, isMember ? undefined : here);
  await services.stop();
  try {
    const restored = await restore(paths, wanted, passphrase);
    await keepConfig(paths, wanted, restored, before);
    // From here on its master is its own.
    rmSync(paths.membership, { force: true });
    return notesOn(restored);
  } catch (error) {
    // It ran before, and nothing was changed.
    if (existsSync(paths.master) || isMember) await services.start();
    throw error;
  }
}

async function restore(
  paths: StatePaths,
  wanted: UpOptions & { restore: string },
  passphrase: string,
): Promise<Restored> {
  const words = [
    ...['restore', '--state-dir', paths.stateDir, '--file', wanted.restore],
    ...(wanted.publicUrl === undefined ? [] : ['--public-url', wanted.publicUrl]),
    ...(wanted.endpoint === undefined ? [] : ['--endpoint', wanted.endpoint]),
    ...(wanted.force ? ['--force'] : []),
  ];
  return v.parse(Restored, JSON.parse(await run(masterProgram(...words), { stdin: passphrase })));
}

/** The node that this machine was before; undefined when it was none. */
function agentHere({ stateDir }: StatePaths): v.InferOutput<typeof AgentConfig> | undefined {
  const path = join(stateDir, 'agent/config.json');
  return existsSync(path) ? v.parse(AgentConfig, JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

async function keepConfig(
  paths: StatePaths,
  wanted: UpOptions,
  { publicUrl, rootThumbprint }: Restored,
  node: v.InferOutput<typeof AgentConfig> | undefined,
): Promise<void> {
  const former = readConfig(paths);
  if (former === undefined)
    throw new StateProblem(`The backup has no ${paths.config}: its master was not set up by ops/up.`);
  const endpoint =
    wanted.endpoint ?? (node === undefined ? former.endpoint : `${await ownAddress()}:${node.listenPort}`);
  const config: SetupConfig = {
    ...former,
    endpoint,
    listen: wanted.listen ?? former.listen,
    publicUrl,
    node: node?.node ?? former.node,
  };
  writePrivate(paths.config, `${JSON.stringify(config, undefined, 2)}\n`);
  if (!existsSync(paths.secrets)) writePrivate(paths.secrets, JSON.stringify({ rootThumbprint }));
}

function notesOn({ epoch, users, devices, backup, putAside }: Restored): string[] {
  return [
    `Restored from a backup made ${backup.createdAt} (revision ${backup.revision} of epoch ${backup.epoch}): ${users} users,\n` +
      `  ${devices} devices. Epoch ${epoch} has begun; nodes and devices follow by themselves. Open codes are void.\n` +
      '  What changed after the backup is lost. See what nodes remember of it: postern master status',
    ...(putAside === undefined ? [] : [`The master that was here before is in ${putAside}.`]),
  ];
}
