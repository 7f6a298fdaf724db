import { Command, CommanderError } from 'commander';
import * as v from 'valibot';
import { verifyTrust } from './formats/signed.ts';
import { hasOurs, mixedKinds, type Surroundings } from './plan/surroundings.ts';
import { openSystem, runAgent } from './run.ts';
import { planLines, planOf } from './show-plan.ts';
import { beAlone } from './system/alone.ts';
import { runCommand } from './system/command.ts';
import {
  AgentConfig,
  agentPaths,
  initialise,
  readAgentKey,
  readConfig,
  SetupError,
  writeConfig,
} from './system/config.ts';
import { openLog } from './system/log.ts';
import { connectMaster } from './system/master.ts';
import type { NodeSystem } from './system/node.ts';
import { missingPrerequisites } from './system/prerequisites.ts';
import { observeSurroundings } from './system/surroundings.ts';
import { tearDown } from './teardown.ts';

const exitCodes = { failure: 1, usage: 2, machine: 6 } as const;

/** This machine cannot be a node as it is; the message says what is missing and what to type. */
class MachineError extends Error {
  override readonly name = 'MachineError';
  readonly code = 'machine-unfit';
}

const log = openLog(process.stderr);
const print = (line: string) => process.stdout.write(`${line}\n`);

async function requireMachine(): Promise<void> {
  const missing = await missingPrerequisites();
  if (missing.length > 0) throw new MachineError(missing.join('\n'));
}

/** A firewall that ours does not fit into is refused before we begin; one that came to be later is told, and ours stays. */
async function requireFirewall(system: NodeSystem, surroundings: Surroundings): Promise<void> {
  if (hasOurs(surroundings)) return;
  const mixed = mixedKinds(surroundings);
  const reasons = mixed === undefined ? await system.missingFeatures() : [mixed];
  if (reasons.length > 0) throw new MachineError(reasons.join('\n'));
}

type ConfigureWords = {
  stateDir: string;
  node?: string;
  master?: string;
  root?: string;
  interface?: string;
  listenPort?: string;
  meshListenPort?: string;
  metrics?: string;
};

const program = new Command('postern-agent')
  .description('Makes this machine the node that its master says it should be')
  .exitOverride();

const command = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .option('--state-dir <directory>', 'where the node keeps its keys and its cache', '/var/lib/postern');

command('init', "make the node's keys and print their public halves").action(async ({ stateDir }) => {
  print(JSON.stringify(await initialise(agentPaths(stateDir))));
});

command('configure', 'say which node this is and who its master is; later, only what is another now')
  .option('--node <name>', 'its name in the roster')
  .option('--master <url>', 'https://HOST:PORT of the master; an agent that runs goes there by itself')
  .option('--root <thumbprint>', "thumbprint of the master's root key")
  .option('--interface <name>', 'the tunnel interface (wg0)')
  .option('--listen-port <port>', 'the UDP port of WireGuard (51820)')
  .option('--mesh-listen-port <port>', 'the UDP port of WireGuard between the nodes (51821)')
  .option('--metrics <host:port>', 'show figures for Prometheus there, on this machine alone; off for nowhere')
  .action(async ({ stateDir, listenPort, meshListenPort, metrics, ...words }: ConfigureWords) => {
    const paths = agentPaths(stateDir);
    const given = {
      ...words,
      ...(listenPort === undefined ? {} : { listenPort: Number(listenPort) }),
      ...(meshListenPort === undefined ? {} : { meshListenPort: Number(meshListenPort) }),
      ...(metrics === undefined ? {} : { metrics: metrics === 'off' ? undefined : metrics }),
    };
    const before = await readConfig(paths).catch(() => ({ interface: 'wg0', listenPort: 51_820 }));
    const config = v.safeParse(AgentConfig, { ...before, ...given });
    if (!config.success) {
      const [issue] = config.issues;
      const option = v.getDotPath(issue)?.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new SetupError(`--${option} ${issue.message}`);
    }
    await writeConfig(paths, config.output);
  });

command('run', 'keep the node as it should be until stopped; the tunnel stays')
  .option('--dry-run', 'print what would be done now, and do nothing')
  .action(async ({ stateDir, dryRun = false }: { stateDir: string; dryRun?: boolean }) => {
    await requireMachine();
    const paths = agentPaths(stateDir);
    if (dryRun) {
      for (const line of planLines(await planOf(paths))) print(line);
      return;
    }
    const config = await readConfig(paths);
    const surroundings = await observeSurroundings(runCommand);
    await requireFirewall(openSystem(paths, config).system, surroundings);
    const stop = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    await runAgent(paths, config, surroundings, stop.signal, log);
    log('stopped; the tunnel and its rules stay');
  });

command('plan', 'print what would be done now, and do nothing')
  .option('--json', 'as JSON, each step with all it holds')
  .action(async ({ stateDir, json = false }: { stateDir: string; json?: boolean }) => {
    await requireMachine();
    const plan = await planOf(agentPaths(stateDir));
    for (const line of json ? [JSON.stringify(plan)] : planLines(plan)) print(line);
  });

command('self', 'print what the master knows of this node').action(async ({ stateDir }) => {
  const paths = agentPaths(stateDir);
  const { master: url, node, root } = await readConfig(paths);
  const master = connectMaster({ url, node, key: await readAgentKey(paths), now: () => new Date() });
  await master.fetchTrust((text) => verifyTrust(text, root));
  print(JSON.stringify(await master.self()));
});

command('teardown', 'remove the tunnel, the rules and the sets; keys and cache stay').action(async ({ stateDir }) => {
  await requireMachine();
  const paths = agentPaths(stateDir);
  const config = await readConfig(paths);
  const alone = await beAlone(paths.socket);
  const { system, wireguard, mesh } = openSystem(paths, config);
  await tearDown(system, [wireguard, mesh], paths.services);
  alone.close();
});

try {
  await program.parseAsync();
  process.exit(0);
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : exitCodes.usage);
  process.stderr.write(`postern-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof MachineError ? exitCodes.machine : exitCodes.failure);
}
