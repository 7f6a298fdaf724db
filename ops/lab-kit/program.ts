import { readFileSync } from 'node:fs';
import { LabError, patience } from './command.ts';
import { childOf } from './processes.ts';

/** A program that runs in the background of a host. */
export class Program {
  readonly label: string;
  readonly logFile: string;
  private readonly child: Bun.Subprocess;

  constructor(label: string, child: Bun.Subprocess, logFile: string) {
    this.label = label;
    this.child = child;
    this.logFile = logFile;
  }

  /** What it has written until now. */
  output(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  get exited(): Promise<number> {
    return this.child.exited;
  }

  /** Waits until its output matches. @throws LabError when it ends before, or when time is up. */
  async says(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs * patience;
    for (;;) {
      const ended = this.child.exitCode !== null;
      const match = pattern.exec(this.output());
      if (match !== null) return match;
      if (ended || performance.now() > deadline) {
        const why = ended ? `ended with ${this.child.exitCode}` : `was silent for ${timeoutMs} ms`;
        throw new LabError(`${this.label} ${why} before it said ${pattern}:\n${this.output().slice(-2_000)}`);
      }
      await Bun.sleep(5);
    }
  }

  /** Sends a signal to the program itself, which runs below the one that entered the host. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' = 'SIGTERM'): Promise<number> {
    const pid = childOf(this.child.pid);
    if (pid !== undefined) process.kill(pid, signal);
    return this.child.exited;
  }
}
