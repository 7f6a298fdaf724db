export type Completed = { stdout: string; stderr: string; exitCode: number };

/** A program of the lab's own (ip, iptables, …) failed. What programs under test answer is data, not this. */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code = 'lab-failed';
}

/** How many times longer than elsewhere things may take here. */
export const patience = process.env.POSTERN_VM === 'emulated' ? 10 : 1;

/** Runs a program with its arguments as they are. @returns what it said, whatever its exit code. */
export async function complete(
  argv: readonly string[],
  options: { stdin?: string | undefined; timeoutMs?: number | undefined; env?: Record<string, string> } = {},
): Promise<Completed> {
  const { stdin = '', timeoutMs = 30_000, env } = options;
  const child = Bun.spawn([...argv], {
    stdin: Buffer.from(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    cwd: '/',
    ...(env === undefined ? {} : { env }),
    timeout: timeoutMs * patience,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}
