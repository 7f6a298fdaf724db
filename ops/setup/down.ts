import { existsSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { readMembership } from './join.ts';
import { holdLock } from './lock.ts';
import { defaults, readDownOptions } from './options.ts';
import { agentProgram, firstNode, repository } from './programs.ts';
import { servicesFor } from './services.ts';
import { readConfig, statePaths } from './state.ts';

/** Undoes ops/up: stops the programs, takes tunnel, rules and sets away; with --purge the state too. */

const link = '/usr/local/bin/postern';
const options = readDownOptions(process.argv.slice(2));

if (process.getuid?.() !== 0) {
  process.stderr.write('ops/down removes interfaces and firewall rules, which only root may. Run: sudo ops/down\n');
  process.exit(6);
}

try {
  const paths = statePaths(options.stateDir);
  if (!existsSync(paths.stateDir)) {
    say({ stopped: false, purged: false }, `There is no Postern in ${paths.stateDir}: nothing to do.`);
    process.exit(0);
  }
  if (options.purge && !options.yes && !isConfirmed(paths.stateDir)) {
    process.stderr.write('Nothing was changed.\n');
    process.exit(1);
  }
  await holdLock(paths, () => process.stderr.write('waiting for another ops/up or ops/down ...\n'));
  const membership = readMembership(paths);
  const here = readConfig(paths) ?? { listen: defaults.listen, node: firstNode };
  await servicesFor(paths, membership === undefined ? here : undefined).stop();
  if (existsSync(join(paths.stateDir, 'agent/config.json'))) {
    await run(agentProgram('teardown', '--state-dir', paths.stateDir));
  }
  if (pointsHere(link)) rmSync(link);
  if (options.purge) rmSync(paths.stateDir, { recursive: true });
  const kept = options.purge
    ? membership?.node === undefined
      ? 'Its state is removed.'
      : `Its state is removed. Remove it at the master too: postern node remove ${membership.node}`
    : `Its state stays in ${paths.stateDir}; ops/up starts it again.`;
  say({ stopped: true, purged: options.purge }, `Postern is down. ${kept}`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`ops/down: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

function isConfirmed(stateDir: string): boolean {
  if (!process.stdin.isTTY) {
    process.stderr.write('--purge removes all keys and the database. Say --yes to mean it.\n');
    return false;
  }
  return prompt(`Remove ${stateDir} with all keys and the database? Type yes:`) === 'yes';
}

function pointsHere(path: string): boolean {
  try {
    return readlinkSync(path) === join(repository, 'ops/postern');
  } catch {
    return false;
  }
}

function say(result: object, text: string): void {
  process.stdout.write(`${options.json ? JSON.stringify(result) : text}\n`);
}
