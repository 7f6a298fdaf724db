import * as v from 'valibot';
import { LabError } from './command.ts';
import type { Host, RunOptions } from './host.ts';
import { hostEnvironment } from './paths.ts';

const Answer = v.object({ id: v.number(), answer: v.unknown() });

/**
 * A program in a host that is asked many things and answers each: `{id, ask}` a line on its stdin, `{id, answer}` a
 * line on its stdout. Answers may come in any order.
 */
export class Asked {
  private readonly child: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;
  private readonly label: string;
  private readonly waiting = new Map<number, PromiseWithResolvers<unknown>>();
  private count = 0;
  private ended = false;

  constructor(host: Host, argv: readonly string[], options: RunOptions = {}) {
    this.label = `${host.name}: ${argv.join(' ')}`;
    this.child = Bun.spawn(host.enter(argv, options), {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
      cwd: '/',
      env: hostEnvironment(),
    });
    void this.listen();
  }

  /** @throws LabError when the program ends before it answers. */
  async ask<Schema extends v.GenericSchema>(schema: Schema, ask: unknown): Promise<v.InferOutput<Schema>> {
    if (this.ended) throw this.gone();
    this.count += 1;
    const answer = Promise.withResolvers<unknown>();
    this.waiting.set(this.count, answer);
    this.child.stdin.write(`${JSON.stringify({ id: this.count, ask })}\n`);
    this.child.stdin.flush();
    return v.parse(schema, await answer.promise);
  }

  /** Lets it end. */
  async end(): Promise<void> {
    this.child.stdin.end();
    await this.child.exited;
  }

  private async listen(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const bytes of this.child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { id, answer } = v.parse(Answer, JSON.parse(line));
        this.waiting.get(id)?.resolve(answer);
        this.waiting.delete(id);
      }
    }
    // The host lost its power, or somebody killed the program: nobody will answer any more.
    this.ended = true;
    for (const { reject } of this.waiting.values()) reject(this.gone());
    this.waiting.clear();
  }

  private gone(): LabError {
    return new LabError(`${this.label} has ended`);
  }
}
