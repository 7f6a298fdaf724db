import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { CommandFailed } from './command.ts';
import { freeMesh, resolversHere } from './discover.ts';
import { masterProgram } from './programs.ts';
import { type SetupConfig, type StatePaths, StateProblem, writePrivate } from './state.ts';

const Created = v.object({
  rootThumbprint: v.string(),
  ownerToken: v.optional(v.string()),
  /** Gone once it was shown. */
  recoveryPassphrase: v.optional(v.string()),
});
export type Created = v.InferOutput<typeof Created>;

/**
 * Makes the master, once. What `init` prints goes straight into a private file, so that being killed between its
 * making and our reading loses nothing.
 */
export async function initMaster(
  paths: StatePaths,
  config: SetupConfig,
  tls: { cert: string; key: string } | undefined,
): Promise<void> {
  if (existsSync(paths.master)) return;
  const { stateDir, secrets } = paths;
  const upstreams = resolversHere();
  const out = openSync(secrets, 'w', 0o600);
  const argv = masterProgram(
    ...[
      'init',
      '--state-dir',
      stateDir,
      '--pool',
      config.pool,
      '--owner',
      config.owner,
      '--public-url',
      config.publicUrl,
      '--mesh',
      await freeMesh(config.pool),
    ],
    ...upstreams.flatMap((upstream) => ['--upstream', upstream]),
    ...(tls === undefined ? [] : ['--tls-cert', tls.cert, '--tls-key', tls.key]),
  );
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: out, stderr: 'pipe' });
  closeSync(out);
  const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new CommandFailed(stderr.trim());
}

/** What `init` said. @throws StateProblem when that is lost. */
export function readCreated(paths: StatePaths): Created {
  try {
    return v.parse(Created, JSON.parse(readFileSync(paths.secrets, 'utf8')));
  } catch (cause) {
    throw new StateProblem(`${paths.secrets} is missing or damaged. Put back a backup of ${paths.stateDir}.`, {
      cause,
    });
  }
}

/** Puts the owner's token where `postern` looks for it. */
export function keepOwnerToken(paths: StatePaths, { ownerToken }: Created): void {
  if (ownerToken !== undefined && !existsSync(paths.ownerToken)) writePrivate(paths.ownerToken, `${ownerToken}\n`);
}

/** After this the passphrase is only where its owner put it. */
export function forgetSecrets(paths: StatePaths, { rootThumbprint }: Created): void {
  writePrivate(paths.secrets, JSON.stringify({ rootThumbprint }));
}
