import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import * as v from 'valibot';
import { Manifest } from '#contract/trust.ts';
import { run } from './command.ts';
import { masterProgram, repository } from './programs.ts';
import { makePrivateFolder, type StatePaths } from './state.ts';

/** The client as it would be released from this checkout. */
export type ClientBuild = { version: string; files: { name: string; path: string; sha256: string }[] };

/** Bundles the client into one file and writes its hash into the script that installs it. */
export async function buildClient(paths: StatePaths): Promise<ClientBuild> {
  makePrivateFolder(paths.build);
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
  const client = join(paths.build, 'postern-client.js');
  const entry = join(repository, 'client-script/main.ts');
  await run([process.execPath, 'build', entry, '--target=node', '--format=esm', '--minify', `--outfile=${client}`]);
  const sha256 = sha256Of(client);

  const script = join(paths.build, 'join.sh');
  const template = readFileSync(join(repository, 'client-script/installers/join.sh'), 'utf8');
  writeFileSync(script, template.replaceAll('@CLIENT_SHA256@', sha256).replaceAll('@VERSION@', version));
  return {
    version,
    files: [
      { name: 'postern-client.js', path: client, sha256 },
      { name: 'join.sh', path: script, sha256: sha256Of(script) },
    ],
  };
}

/** Whether the master serves these very files already. */
export function isReleased(paths: StatePaths, build: ClientBuild): boolean {
  const manifest = releasedManifest(paths);
  return build.files.every(({ name, sha256 }) =>
    manifest?.files.some((file) => file.name === name && file.sha256 === sha256),
  );
}

export function releasedManifest(paths: StatePaths): Manifest | undefined {
  if (!existsSync(paths.manifest)) return undefined;
  return v.parse(Manifest, decodeJwt(readFileSync(paths.manifest, 'utf8').trim()));
}

/** Puts the files beside the master, signed with the release key that the passphrase opens. */
export async function releaseClient(paths: StatePaths, build: ClientBuild, passphrase: string): Promise<void> {
  const files = build.files.flatMap(({ name, path }) => ['--file', `${name}=${path}`]);
  const words = ['release', '--state-dir', paths.stateDir, '--version', build.version, ...files];
  await run(masterProgram(...words), { stdin: passphrase });
}

export function discardBuild(paths: StatePaths): void {
  rmSync(paths.build, { recursive: true, force: true });
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
