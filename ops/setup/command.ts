/** A program that ops ran ended badly. The message is what it said itself. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly code = 'command-failed';
}

/** Runs a program to its end; arguments go to it as they are. @throws CommandFailed */
export async function run(argv: readonly string[], { stdin = '', limitMs = 60_000 } = {}): Promise<string> {
  const child = Bun.spawn([...argv], { stdin: Buffer.from(stdin), stdout: 'pipe', stderr: 'pipe', timeout: limitMs });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode !== 0) {
    const said = stderr.trim() || stdout.trim() || 'it said nothing';
    throw new CommandFailed(`${argv.slice(0, 3).join(' ')} ended with ${exitCode ?? child.signalCode}: ${said}`);
  }
  return stdout;
}
