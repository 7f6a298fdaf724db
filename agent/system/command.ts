/** Runs a program and gives its standard output. */
export type RunCommand = (argv: readonly [string, ...string[]], stdin?: string) => Promise<string>;

const timeLimitMs = 20_000;

/** What to install, by the program that is missing; Debian's and Ubuntu's package names. */
export const packageOf: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  wg: 'wireguard-tools',
  'wireguard-go': 'wireguard-go',
  ipset: 'ipset',
  conntrack: 'conntrack',
  'iptables-save': 'iptables',
  'iptables-restore': 'iptables',
  'ip6tables-save': 'iptables',
  'ip6tables-restore': 'iptables',
  keepalived: 'keepalived',
  nginx: 'nginx-light',
  dnsmasq: 'dnsmasq-base',
};

export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code = 'command-failed';

  constructor(argv: readonly string[], outcome: string, stderr: string) {
    super(`${argv.join(' ')} ${outcome}: ${stderr.trim().slice(0, 500) || '(it said nothing)'}`);
  }
}

export class MissingProgram extends Error {
  override readonly name = 'MissingProgram';
  readonly code = 'program-missing';

  constructor(program: string, cause?: unknown) {
    super(`${program} is not installed; install it: apt-get install ${packageOf[program] ?? program}`, { cause });
  }
}

/**
 * Arguments go to the program as they are, never through a shell; secrets travel on stdin, since argv is public.
 *
 * @throws CommandError when it fails or takes more than 20 s, MissingProgram when it is not there.
 */
export const runCommand: RunCommand = async (argv, stdin = '') => {
  const child = spawn(argv, stdin);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.signalCode !== null) throw new CommandError(argv, `was ended by ${child.signalCode}`, stderr);
  if (child.exitCode !== 0) throw new CommandError(argv, `failed with status ${child.exitCode}`, stderr);
  return stdout;
};

function spawn(argv: readonly [string, ...string[]], stdin: string) {
  try {
    return Bun.spawn([...argv], {
      stdin: Buffer.from(stdin),
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, LC_ALL: 'C' },
      timeout: timeLimitMs,
      killSignal: 'SIGKILL',
    });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') throw new MissingProgram(argv[0], cause);
    throw cause;
  }
}
