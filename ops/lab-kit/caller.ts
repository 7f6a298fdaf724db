import { join } from 'node:path';
import * as v from 'valibot';
import { LabError } from './command.ts';
import type { Host } from './host.ts';
import { hostEnvironment } from './paths.ts';

const Answer = v.object({
  id: v.number(),
  status: v.number(),
  text: v.string(),
  sentAt: v.number(),
  answeredAt: v.number(),
});
/** `sentAt` and `answeredAt` in ms since 1970, as every host's clock has it. */
export type Answer = v.InferOutput<typeof Answer>;
export type Answered<Body> = { body: Body; sentAt: number; answeredAt: number };

/** Calls the master's API with one token, from inside a host. */
export class Caller {
  private readonly child: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;
  private readonly base: string;
  private readonly token: string | undefined;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private count = 0;

  constructor(host: Host, base: string, token?: string) {
    this.base = base;
    this.token = token;
    this.child = Bun.spawn(host.enter(['bun', join(import.meta.dir, 'programs/caller.ts')]), {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
      cwd: '/',
      env: hostEnvironment(),
    });
    void this.listen();
  }

  /** @returns the answer, whatever its status; a status of 0 means that there was none. */
  call(method: string, path: string, body?: unknown): Promise<Answer> {
    this.count += 1;
    const id = this.count;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.waiting.set(id, resolve);
    const call = { id, method, url: `${this.base}${path}`, token: this.token, body };
    this.child.stdin.write(`${JSON.stringify(call)}\n`);
    this.child.stdin.flush();
    return promise;
  }

  /** A call that must succeed, with its answer read as the contract has it. */
  async ask<Schema extends v.GenericSchema>(
    schema: Schema,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answered<v.InferOutput<Schema>>> {
    const { status, text, sentAt, answeredAt } = await this.call(method, path, body);
    if (status < 200 || status > 299) {
      throw new LabError(`${method} ${path} answered ${status}: ${text.slice(0, 500)}`);
    }
    return { body: v.parse(schema, JSON.parse(text)), sentAt, answeredAt };
  }

  private async listen(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const bytes of this.child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const answer = v.parse(Answer, JSON.parse(line));
        this.waiting.get(answer.id)?.(answer);
        this.waiting.delete(answer.id);
      }
    }
    // The host lost its power, or somebody killed the program: nobody will answer any more.
    const moment = Date.now();
    for (const [id, resolve] of this.waiting) {
      resolve({ id, status: 0, text: 'the program that calls has ended', sentAt: moment, answeredAt: moment });
    }
    this.waiting.clear();
  }
}
