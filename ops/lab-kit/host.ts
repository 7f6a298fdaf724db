import { closeSync, openSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Completed, complete, LabError } from './command.ts';
import { hostEnvironment, repository } from './paths.ts';
import { childOf, processesBeside, type Running } from './processes.ts';
import { Program } from './program.ts';
import { Session } from './session.ts';

const namespaces = ['--net', '--mount', '--pid', '--uts', '--ipc'];

export type RunOptions = { stdin?: string; timeoutMs?: number; cwd?: string; env?: Readonly<Record<string, string>> };

/**
 * A machine of the lab: a network, mount, pid, uts and ipc namespace of its own, held by its first process and by
 * nothing else. It has its own /run, /tmp, /etc and /var/lib, and shares the machine's programs.
 */
export class Host {
  readonly name: string;
  /** Its first process, as the machine sees it. */
  readonly pid: number;
  /** Its first process and that one's ear: the host ends when either does. */
  private readonly own: readonly [number, number];
  private readonly first: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;
  private readonly logs: string;

  private constructor(
    name: string,
    own: readonly [number, number],
    first: Bun.Subprocess<'pipe', 'pipe', 'inherit'>,
    logs: string,
  ) {
    this.name = name;
    this.own = own;
    this.pid = own[0];
    this.first = first;
    this.logs = logs;
  }

  static async boot(name: string, logs: string, keep: readonly string[]): Promise<Host> {
    const first = Bun.spawn(
      [
        ...['setpriv', '--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--pid', '--uts', '--ipc', '--fork'],
        ...['--kill-child', '--propagation', 'private', 'sh', join(import.meta.dir, 'host-init.sh'), name, ...keep],
      ],
      { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit', cwd: '/', env: hostEnvironment() },
    );
    const { value } = await first.stdout.getReader().read();
    const pid = childOf(first.pid);
    const ear = pid === undefined ? undefined : childOf(pid);
    if (value === undefined || pid === undefined || ear === undefined) throw new LabError(`host ${name} did not start`);
    return new Host(name, [pid, ear], first, logs);
  }

  /** How to run something in here from outside. */
  enter(argv: readonly string[], { cwd = repository, env = {} }: RunOptions = {}): string[] {
    const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    return [
      ...['setpriv', '--pdeathsig', 'KILL', 'nsenter', '--target', `${this.pid}`, ...namespaces, '--'],
      ...['setpriv', '--pdeathsig', 'KILL', 'env', '-C', cwd, ...settings, ...argv],
    ];
  }

  /** Runs a program to its end. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Completed> {
    const { stdin, timeoutMs } = options;
    return complete(this.enter(argv, options), { stdin, timeoutMs, env: hostEnvironment() });
  }

  /** Runs a program that must succeed. @throws LabError with what it said. */
  async must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(argv, options);
    if (exitCode !== 0) throw new LabError(`${this.name}: ${argv.join(' ')}: ${stderr.trim()} (exit code ${exitCode})`);
    return stdout;
  }

  /** `ip` with the words of one line; several lines are several commands. */
  async ip(...lines: readonly string[]): Promise<void> {
    await this.must(['ip', '-batch', '-'], { stdin: `${lines.join('\n')}\n` });
  }

  /** Lays a cable to another host. The far end is named by a pid of the machine, so only the network is entered. */
  async cable(name: string, peer: Host, peerName: string): Promise<void> {
    const link = ['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', peerName, 'netns', `${peer.pid}`];
    const { exitCode, stderr } = await complete(['nsenter', '--target', `${this.pid}`, '--net', '--', ...link]);
    if (exitCode !== 0) throw new LabError(`${this.name}: no cable to ${peer.name}: ${stderr.trim()}`);
  }

  async sysctl(name: string, value: number): Promise<void> {
    await this.must(['sysctl', '-qw', `${name}=${value}`]);
  }

  /** Starts a program in the background, with both outputs in a file of its own under the lab's logs. */
  start(label: string, argv: readonly string[], options: RunOptions = {}): Program {
    const logFile = join(this.logs, `${this.name}-${label}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const child = Bun.spawn(this.enter(argv, options), {
      stdin: options.stdin === undefined ? 'ignore' : Buffer.from(options.stdin),
      stdout: log,
      stderr: log,
      cwd: '/',
      env: hostEnvironment(),
    });
    closeSync(log);
    return new Program(label, child, logFile);
  }

  /** Runs a program on a terminal of its own, as a person would. */
  terminal(argv: readonly string[], options: RunOptions = {}): Session {
    return new Session(this.enter(argv, options), hostEnvironment());
  }

  /** Everything that runs in here, but what holds the host itself. */
  processes(): Running[] {
    return processesBeside(this.own);
  }

  /** Kills every program whose command line matches, without a word, and waits until they are gone. @returns how many. */
  async kill9(matching: RegExp): Promise<number> {
    const found = this.processes().filter(({ argv }) => matching.test(argv));
    for (const { pid } of found) kill(pid);
    const left = () => this.processes().filter((one) => found.some(({ pid }) => pid === one.pid));
    while (left().length > 0) await Bun.sleep(5);
    return found.length;
  }

  /** Pulls the plug: everything in here is gone when this returns. */
  async halt(): Promise<void> {
    this.first.stdin.end();
    this.first.kill('SIGKILL');
    await this.first.exited;
  }
}

/** Processes end while one looks: one that has gone needs no killing. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** A shell in a host of any lab of this user, on the caller's own terminal. @returns its exit code. */
export async function enterHost(name: string, pid: number): Promise<number> {
  const userNamespace = (process: string) => readlinkSync(`/proc/${process}/ns/user`);
  const asRoot = userNamespace(`${pid}`) === userNamespace('self') ? [] : ['--user'];
  const shell = ['env', '-C', repository, `PS1=${name}# `, process.env.SHELL ?? 'sh'];
  const child = Bun.spawn(['nsenter', '--target', `${pid}`, ...asRoot, ...namespaces, '--', ...shell], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: hostEnvironment(),
  });
  process.on('SIGINT', () => {});
  return child.exited;
}
