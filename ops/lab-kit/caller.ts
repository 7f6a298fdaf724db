import { join } from 'node:path';
import * as v from 'valibot';
import { Asked } from './asked.ts';
import { LabError } from './command.ts';
import type { Host } from './host.ts';

const Answer = v.object({
  status: v.number(),
  text: v.string(),
  etag: v.nullable(v.string()),
  sentAt: v.number(),
  answeredAt: v.number(),
});
/** `sentAt` and `answeredAt` in ms since 1970, as every host's clock has it. */
export type Answer = v.InferOutput<typeof Answer>;
export type Answered<Body> = { body: Body; sentAt: number; answeredAt: number };

/** Calls the master's API with one token, from inside a host. */
export class Caller {
  private readonly program: Asked;
  private readonly base: string;
  private readonly token: string | undefined;

  constructor(host: Host, base: string, token?: string) {
    this.base = base;
    this.token = token;
    this.program = new Asked(host, ['bun', join(import.meta.dir, 'programs/caller.ts')]);
  }

  /** @returns the answer, whatever its status; a status of 0 means that there was none. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const call = { method, url: `${this.base}${path}`, token: this.token, headers, body };
    try {
      return await this.program.ask(Answer, call);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      const moment = Date.now();
      return { status: 0, text: error.message, etag: null, sentAt: moment, answeredAt: moment };
    }
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
}
