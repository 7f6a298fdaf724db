import { LabError, patience } from './command.ts';

/** A program on a terminal of its own: what it shows, and what a person types. */
export class Session {
  private shown = '';
  private readonly child: Bun.Subprocess;

  constructor(argv: readonly string[], env: Record<string, string>) {
    const decoder = new TextDecoder();
    this.child = Bun.spawn([...argv], {
      cwd: '/',
      env,
      terminal: {
        cols: 120,
        rows: 40,
        data: (_terminal, bytes) => {
          this.shown += decoder.decode(bytes, { stream: true });
        },
      },
    });
  }

  get screen(): string {
    return this.shown;
  }

  get exited(): Promise<number> {
    return this.child.exited;
  }

  /** Waits until the terminal shows a text. @throws LabError when the program ends before, or when time is up. */
  async shows(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs * patience;
    for (;;) {
      const ended = this.child.exitCode !== null;
      const match = pattern.exec(this.shown);
      if (match !== null) return match;
      if (ended || performance.now() > deadline) {
        throw new LabError(`the terminal did not show ${pattern}:\n${this.shown.slice(-2_000)}`);
      }
      await Bun.sleep(2);
    }
  }

  type(text: string): void {
    this.child.terminal?.write(text);
  }
}
