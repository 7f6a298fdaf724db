import { spawn } from 'node:child_process';

/** A program of the system failed or took too long. Its arguments hold no secrets, so they may be shown. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: 'command-failed' | 'command-missing' | 'command-slow';
  readonly stderr: string;

  constructor(code: CommandError['code'], argv: readonly string[], stderr: string, cause?: unknown) {
    // wireguard-go draws a box of advice before it says what is wrong.
    const said = stderr.split('\n').filter((line) => line.trim() !== '' && !/^[┌│└]/.test(line));
    super(`${argv.join(' ')}: ${said.join('\n') || code}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.stderr = stderr;
  }
}

/** `ownSession` for a program that stays behind: otherwise it ends with the terminal it was started from. */
export type RunOptions = { stdin?: string; ownSession?: boolean };
export type RunCommand = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<string>;

const limitMs = 10_000;

/** Arguments go to the kernel as they are, never through a shell. @returns what the program wrote. */
export const runCommand: RunCommand = (argv, { stdin = '', ownSession = false } = {}) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const child = spawn(program, args, { cwd: '/', stdio: ['pipe', 'pipe', 'pipe'], detached: ownSession });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new CommandError('command-slow', argv, `no answer within ${limitMs / 1000} s`));
    }, limitMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new CommandError('command-missing', argv, cause.message, cause));
    });
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      if (exitCode === 0) resolve(stdout);
      else {
        // wireguard-go complains on standard output. What others write there is data, and of `wg show dump` a secret.
        const said = ownSession ? `${stderr}\n${stdout}` : stderr;
        reject(new CommandError('command-failed', argv, `${said}\nended with ${exitCode ?? signal}`));
      }
    });
  });
