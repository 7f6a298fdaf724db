import { chmodSync, existsSync, lstatSync, readFileSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { putCertificateInPlace } from './certificate.ts';
import { freePool, ownAddress } from './discover.ts';
import { join as joinMaster, readMembership } from './join.ts';
import { holdLock } from './lock.ts';
import { defaults, readUpOptions, type UpOptions } from './options.ts';
import { isPrivate } from './pool.ts';
import { firstNode, repository } from './programs.ts';
import { awaitMaster, awaitNode, prepareAgent, registerNode } from './register.ts';
import { buildClient, discardBuild, isReleased, releaseClient, releasedManifest } from './release.ts';
import { restoreMaster } from './restore.ts';
import { type Created, forgetSecrets, initMaster, keepOwnerToken, readCreated } from './secrets.ts';
import { servicesFor } from './services.ts';
import {
  makePrivateFolder,
  readConfig,
  type SetupConfig,
  type StatePaths,
  StateProblem,
  statePaths,
  writePrivate,
} from './state.ts';
import { portsOf, renderJoined, renderSummary, type Summary } from './summary.ts';
import { runningSupervisor } from './supervision.ts';

/** Sets a machine up. Every step looks first, so a run that was cut short is completed by the next. */

const link = '/usr/local/bin/postern';
const options = readUpOptions(process.argv.slice(2));

if (process.getuid?.() !== 0) {
  process.stderr.write(
    'ops/up makes tunnel interfaces and firewall rules, which only root may. Run: sudo ops/up\n' +
      'To look around without touching this machine, run: ops/lab demo\n',
  );
  process.exit(6);
}

try {
  await up(statePaths(options.stateDir), options);
  process.exit(0);
} catch (error) {
  process.stderr.write(`\nops/up: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function up(paths: StatePaths, wanted: UpOptions): Promise<void> {
  makePrivateFolder(paths.stateDir);
  chmodSync(paths.stateDir, 0o700);
  const giveLockBack = await holdLock(paths, () => say('waiting for another ops/up or ops/down'));
  const isMember = wanted.join !== undefined || (readMembership(paths) !== undefined && wanted.restore === undefined);
  if (isMember) return becomeNode(paths, wanted, giveLockBack);
  const tls = tlsFiles(wanted);
  const { restore } = wanted;
  if (restore === undefined && (wanted.publicUrl !== undefined || wanted.force))
    throw new StateProblem('--public-url and --force belong to --restore FILE.');
  if (restore !== undefined) say('reading the backup');
  const restored = restore === undefined ? [] : await restoreMaster(paths, { ...wanted, restore });
  const { config, isNew } = await configure(paths, wanted);
  const services = servicesFor(paths, config);

  const isFirst = isNew || !existsSync(paths.master);
  let isChanged = isFirst || restored.length > 0;
  if (isFirst) say('making keys, database and first owner');
  await initMaster(paths, config, tls);
  if (await putCertificateInPlace(paths, wanted)) {
    isChanged = true;
    say('putting the certificate in place');
  }
  const created = readCreated(paths);
  keepOwnerToken(paths, created);
  const notes = [
    ...restored,
    ...(created.recoveryPassphrase === undefined ? [] : firstNotes(config, wanted, services.kind)),
  ];
  if (await release(paths, created, wanted, notes)) isChanged = true;

  const keys = await prepareAgent(paths, config, created.rootThumbprint);
  if (await services.start()) {
    isChanged = true;
    say('starting master and agent');
  }
  const master = await awaitMaster(paths, config, created.rootThumbprint, services.logs);
  if (await registerNode(master, config, keys)) {
    isChanged = true;
    say(`registering this machine as the node ${config.node}`);
  }
  await awaitNode(master, config.node, services.logs);
  linkCommand();

  const recoveryPassphrase = keepPassphrase(created, wanted, notes);
  const summary: Summary = {
    apiUrl: config.publicUrl,
    swaggerUrl: `${config.publicUrl}/swagger`,
    ownerTokenFile: paths.ownerToken,
    ...(recoveryPassphrase === undefined ? {} : { recoveryPassphrase }),
    rootThumbprint: created.rootThumbprint,
    endpoint: config.endpoint,
    pool: config.pool,
    ports: portsOf(config),
    created: created.recoveryPassphrase !== undefined,
    changed: isChanged,
    notes,
  };
  const ownerToken = wanted.recoveryFile === undefined ? created.ownerToken : undefined;
  const text = wanted.json
    ? JSON.stringify(summary)
    : renderSummary(summary, commandName(paths), process.stdout.isTTY, ownerToken);
  process.stdout.write(`${text}\n`);
  // Shown counts only now: a run that was cut short before shows it again.
  if (created.recoveryPassphrase !== undefined || created.ownerToken !== undefined) forgetSecrets(paths, created);
  if (!wanted.detach && services.kind === 'supervisor') {
    // From here on it may be looked at, or taken down, from another terminal.
    await giveLockBack();
    await stayInForeground(paths, services);
  }
}

/** The master is elsewhere. */
async function becomeNode(paths: StatePaths, wanted: UpOptions, giveLockBack: () => Promise<void>): Promise<void> {
  const misplaced = (['listen', 'pool', 'owner', 'tlsCert', 'tlsKey', 'acme', 'recoveryFile', 'restore'] as const).find(
    (option) => wanted[option] !== undefined,
  );
  if (misplaced !== undefined)
    throw new StateProblem(
      `--${misplaced.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is for the machine of a master, and this one is a node of another.`,
    );
  const { joined, services } = await joinMaster(paths, wanted, say);
  linkCommand();
  process.stdout.write(`${wanted.json ? JSON.stringify(joined) : renderJoined(joined, services.kind)}\n`);
  if (wanted.detach || services.kind !== 'supervisor') return;
  await giveLockBack();
  await stayInForeground(paths, services);
}

async function configure(paths: StatePaths, wanted: UpOptions): Promise<{ config: SetupConfig; isNew: boolean }> {
  const known = readConfig(paths);
  if (known !== undefined) {
    refuseContradictions(paths, known, wanted);
    return { config: known, isNew: false };
  }
  const listen = wanted.listen ?? defaults.listen;
  const endpoint = wanted.endpoint ?? `${await ownAddress()}:${defaults.port}`;
  const host = endpoint.slice(0, endpoint.lastIndexOf(':'));
  const config: SetupConfig = {
    listen,
    endpoint,
    pool: wanted.pool ?? (await freePool()),
    publicUrl: `https://${host}:${listen.slice(listen.lastIndexOf(':') + 1)}`,
    owner: wanted.owner ?? defaults.owner,
    node: firstNode,
  };
  writePrivate(paths.config, `${JSON.stringify(config, undefined, 2)}\n`);
  return { config, isNew: true };
}

function refuseContradictions(paths: StatePaths, known: SetupConfig, wanted: UpOptions): void {
  const fields = ['listen', 'endpoint', 'pool', 'owner'] as const;
  const others = fields
    .filter((field) => wanted[field] !== undefined && wanted[field] !== known[field])
    .map((field) => `--${field} ${wanted[field]} (it is ${known[field]})`);
  if (others.length === 0) return;
  const list = others.join(', ');
  throw new StateProblem(
    `${paths.stateDir} was set up otherwise: ${list}. Leave the option out, or begin anew after ops/down --purge.`,
  );
}

/** What a newcomer may not expect of this machine. */
function firstNotes(config: SetupConfig, { endpoint }: UpOptions, kind: 'systemd' | 'supervisor'): string[] {
  const host = config.endpoint.slice(0, config.endpoint.lastIndexOf(':'));
  const notes: string[] = [];
  if (endpoint === undefined && isPrivate(host)) {
    notes.push(
      `${host} is an address of a private network. If devices come from outside, begin anew:\n` +
        '  ops/down --purge, then ops/up --endpoint with the public name or address of this machine.',
    );
  }
  if (kind === 'supervisor') notes.push('There is no systemd here: after a reboot, run ops/up again.');
  return notes;
}

function tlsFiles({ tlsCert, tlsKey }: UpOptions): { cert: string; key: string } | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new StateProblem('Give both --tls-cert and --tls-key, or neither.');
  }
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  for (const file of [tlsCert, tlsKey]) if (!existsSync(file)) throw new StateProblem(`There is no file ${file}.`);
  return { cert: tlsCert, key: tlsKey };
}

/** @returns whether a client was released. Signing needs the recovery passphrase; without it the earlier one stays. */
async function release(
  paths: StatePaths,
  created: Created,
  { recoveryFile }: UpOptions,
  notes: string[],
): Promise<boolean> {
  const build = await buildClient(paths);
  try {
    if (isReleased(paths, build)) return false;
    const passphrase =
      created.recoveryPassphrase ??
      (recoveryFile !== undefined && existsSync(recoveryFile) ? readFileSync(recoveryFile, 'utf8').trim() : undefined);
    if (passphrase === undefined) {
      const earlier = releasedManifest(paths)?.version;
      notes.push(
        `This checkout has another client than the one released (${earlier}). Devices get the released one until you sign\n  the new one: ops/up --recovery-file FILE-WITH-THE-RECOVERY-PASSPHRASE`,
      );
      return false;
    }
    say('signing the client that devices will fetch');
    await releaseClient(paths, build, passphrase);
    return true;
  } finally {
    discardBuild(paths);
  }
}

/** Writes the passphrase where it was asked for. @returns it when it is to be shown instead. */
function keepPassphrase(
  { recoveryPassphrase }: Created,
  { recoveryFile }: UpOptions,
  notes: string[],
): string | undefined {
  if (recoveryPassphrase === undefined || recoveryFile === undefined) return recoveryPassphrase;
  writePrivate(recoveryFile, `${recoveryPassphrase}\n`);
  notes.push(`The recovery passphrase is in ${recoveryFile}. Move it away from this machine.`);
  return undefined;
}

/** `postern` for everybody's PATH, unless something else has that name. A clone that is gone is not something else. */
function linkCommand(): void {
  const present = lstatSync(link, { throwIfNoEntry: false });
  const isOrphan = present?.isSymbolicLink() && !existsSync(link) && readlinkSync(link).endsWith('/ops/postern');
  if (isOrphan) unlinkSync(link);
  if (isOrphan || present === undefined) symlinkSync(join(repository, 'ops/postern'), link);
}

function commandName({ stateDir }: StatePaths): string {
  const isLinked =
    lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() &&
    readlinkSync(link) === join(repository, 'ops/postern');
  const name = isLinked ? 'postern' : join(repository, 'ops/postern');
  return stateDir === defaults.stateDir ? name : `${name} --state-dir ${stateDir}`;
}

/** Until a signal comes, or somebody takes Postern down from elsewhere. */
async function stayInForeground(paths: StatePaths, services: { stop(): Promise<void> }): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    setInterval(() => runningSupervisor(paths) === undefined && resolve(), 500);
    say('running; Ctrl-C stops it (the tunnel and its rules stay until ops/down)');
  });
  say('stopping');
  await services.stop();
}

function say(line: string): void {
  process.stderr.write(`postern: ${line} ...\n`);
}
