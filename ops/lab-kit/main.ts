import { release } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { benchmarks, scenarios } from './catalogue.ts';
import { runDemo } from './demo.ts';
import { enterHost } from './host.ts';
import { announce, runningLabs } from './kept.ts';
import { Lab } from './lab.ts';
import { NotPermitted, obtainPermission } from './permission.ts';
import { red, tell, tellLogs, tellResult, tellScenario, tellStep } from './report.ts';
import { runScenario, type Scenario, type StepResult } from './scenario.ts';

const machineLimitSeconds = 3_600;
const exitCodes = { passed: 0, failed: 1, usage: 2, notPermitted: 3 } as const;
type RunFlags = { json?: true; keep?: true; short?: true; vm?: true };

/** A wrong word on the command line. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

function list(entries: readonly Scenario[]): number {
  for (const { name, description } of entries) process.stdout.write(`${name.padEnd(16)} ${description}\n`);
  return exitCodes.passed;
}

async function run(entries: readonly Scenario[], name: string, flags: RunFlags): Promise<number> {
  const scenario = entries.find((entry) => entry.name === name);
  if (scenario === undefined) {
    const known = entries.map((entry) => entry.name).join(', ') || 'nothing yet';
    throw new UsageError(`There is no ${name}. There is: ${known}`);
  }
  if (flags.vm) return runInMachine(process.argv.slice(1).filter((word) => word !== '--vm'));
  const standing = await obtainPermission([process.execPath, ...process.argv.slice(1)]);
  if (standing.kind === 'ran-again') return standing.exitCode;

  const lab = openLab(name);
  tellScenario(scenario);
  const told = tellMachine();
  const ran = await runScenario(scenario, lab, { short: flags.short === true, onStep: tellStep });
  const result = { ...ran, steps: [...told, ...ran.steps] };
  tellResult(result);
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  if (!result.passed) tellLogs(lab);
  if (flags.keep) await keep(lab, name);
  await lab.close({ keepLogs: !result.passed });
  return result.passed ? exitCodes.passed : exitCodes.failed;
}

/** The same words again, in a machine of their own. @returns their exit code. */
async function runInMachine(words: readonly string[]): Promise<number> {
  const machine = [join(import.meta.dir, 'vm.sh'), `${machineLimitSeconds}`];
  const child = Bun.spawn([...machine, 'env', `PATH=${process.env.PATH}`, process.execPath, ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return child.exited;
}

/** Where this runs in a machine of its own: what the figures are to be taken for. */
function tellMachine(): StepResult[] {
  const kind = process.env.POSTERN_VM;
  if (kind === undefined) return [];
  const name = `in a virtual machine with Debian's kernel ${release()}, hence its WireGuard and netem`;
  const detail = kind === 'emulated' ? 'emulated: times are several times as long as on a machine' : kind;
  const step = { name, passed: true, ms: 0, detail };
  tellStep(step);
  return [step];
}

async function demo(): Promise<number> {
  const standing = await obtainPermission([process.execPath, ...process.argv.slice(1)]);
  if (standing.kind === 'ran-again') return standing.exitCode;
  const lab = openLab('demo');
  try {
    await runDemo(lab);
    return exitCodes.passed;
  } finally {
    await lab.close();
  }
}

/** A lab that goes away on the usual signals too. When this process is killed the kernel sees to it. */
function openLab(name: string): Lab {
  runningLabs();
  const lab = Lab.create();
  announce(lab, name);
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => void lab.close().finally(() => process.exit(128 + number)));
  }
  return lab;
}

async function keep(lab: Lab, name: string): Promise<void> {
  announce(lab, name);
  tell(`\n  The hosts stay until Ctrl-C: ${[...lab.hosts.keys()].join(' ')}`);
  tell('  Enter one from another terminal: ops/lab shell HOST');
  await new Promise(() => setInterval(() => {}, 60_000));
}

async function shell(hostName: string): Promise<number> {
  const labs = runningLabs();
  const pid = labs.map((lab) => lab.hosts[hostName]).find((found) => found !== undefined);
  if (pid === undefined) {
    const known = labs.flatMap((lab) => Object.keys(lab.hosts)).join(', ');
    throw new UsageError(
      known === ''
        ? 'No lab runs. Start one: ops/lab run NAME --keep'
        : `There is no host ${hostName}. There is: ${known}`,
    );
  }
  return enterHost(hostName, pid);
}

function commandLine(): Command {
  let exitCode: number = exitCodes.passed;
  const action =
    (body: (...given: never[]) => number | Promise<number>) =>
    async (...given: unknown[]) => {
      exitCode = await body(...(given as never[]));
      process.exitCode = exitCode;
    };
  const flags = (command: Command) =>
    command
      .option('--json', 'print exactly one line on stdout: {scenario, passed, figures, steps}')
      .option('--keep', 'leave the hosts until Ctrl-C, to be entered with `shell`')
      .option(
        '--vm',
        "in a virtual machine with Debian's own kernel, hence its WireGuard and netem; slow where it is emulated",
      )
      .option('--short', 'once through, as CI runs it; the long form repeats and gives medians');

  if (process.argv[2] === 'bench') {
    const bench = new Command('ops/bench').description('Measure the product in the lab.').exitOverride();
    flags(bench.argument('<name>', '`list`, or one of its names')).action(
      action((name: string, given: RunFlags) => (name === 'list' ? list(benchmarks) : run(benchmarks, name, given))),
    );
    return bench;
  }
  const lab = new Command('ops/lab').description('A network of hosts on this machine, with the real programs in it.');
  lab.exitOverride();
  lab
    .command('list')
    .description('the scenarios')
    .action(action(() => list(scenarios)));
  flags(lab.command('run <name>').description('run a scenario')).action(
    action((name: string, given: RunFlags) => run(scenarios, name, given)),
  );
  lab.command('shell <host>').description('enter a host of a lab that runs with --keep').action(action(shell));
  lab.command('demo').description('watch a laptop join, and lose the node that it is on').action(action(demo));
  return lab;
}

try {
  await commandLine().parseAsync(process.argv.slice(3), { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.passed : exitCodes.usage;
  else if (error instanceof UsageError) {
    tell(error.message);
    process.exitCode = exitCodes.usage;
  } else if (error instanceof NotPermitted) {
    tell(error.message);
    process.exitCode = exitCodes.notPermitted;
  } else {
    tell(red(error instanceof Error ? (error.stack ?? error.message) : String(error)));
    process.exitCode = exitCodes.failed;
  }
}
process.exit();
