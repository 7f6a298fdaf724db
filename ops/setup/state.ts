import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { Name } from '#contract/name.ts';
import { Cidr, Endpoint } from '#contract/network.ts';

/** What this node was set up with, so that a later run finds the same. */
export const SetupConfig = v.object({
  listen: v.string(),
  endpoint: Endpoint,
  pool: Cidr,
  publicUrl: v.string(),
  owner: v.string(),
  node: Name,
  root: v.optional(v.string()),
});
export type SetupConfig = v.InferOutput<typeof SetupConfig>;

/** The state directory is not as we left it. */
export class StateProblem extends Error {
  override readonly name = 'StateProblem';
  readonly code = 'state-problem';
}

export function statePaths(stateDir: string) {
  return {
    stateDir,
    config: join(stateDir, 'config.json'),
    /** Whose node this machine is, when its master is elsewhere. */
    membership: join(stateDir, 'membership.json'),
    /** What `init` printed; the recovery passphrase stays in it only until it was shown. */
    secrets: join(stateDir, 'init.json'),
    ownerToken: join(stateDir, 'owner.token'),
    master: join(stateDir, 'master'),
    manifest: join(stateDir, 'master/releases/manifest.jws'),
    supervisor: join(stateDir, 'supervisor.json'),
    logs: join(stateDir, 'logs'),
    build: join(stateDir, 'build'),
    lock: join(stateDir, 'setup.lock'),
  };
}
export type StatePaths = ReturnType<typeof statePaths>;

export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Written aside, flushed and renamed: after a crash there is the old file or the new, never half of one. */
export function writePrivate(path: string, content: string): void {
  const aside = `${path}.new`;
  const file = openSync(aside, 'w', 0o600);
  writeSync(file, content);
  fsyncSync(file);
  closeSync(file);
  renameSync(aside, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** @throws StateProblem when the file is there and not what it should be. */
export function readConfig(paths: StatePaths): SetupConfig | undefined {
  if (!existsSync(paths.config)) return undefined;
  try {
    return v.parse(SetupConfig, JSON.parse(readFileSync(paths.config, 'utf8')));
  } catch (cause) {
    throw new StateProblem(`${paths.config} is damaged. Put back a backup, or move it away and run ops/up again.`, {
      cause,
    });
  }
}
