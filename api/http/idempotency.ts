import { Elysia, type ElysiaCustomStatusResponse, status } from 'elysia';
import * as v from 'valibot';
import { sha256Hex } from '../formats/hash.ts';
import { type AnswerKey, answerKey } from '../keys/answer-keys.ts';
import type { Master } from '../master.ts';
import { keepAnswer, keptAnswer } from '../store/kept-answers.ts';
import { currentVersion } from '../store/settings.ts';
import { commonHeaders } from './errors.ts';
import { Refusal } from './refusal.ts';

type Headers = Record<string, string>;
type Context = { request: Request; body: unknown; set: { headers: Record<string, string | number> } };
type Kept = { request: string; headers: Headers; body: string };
type Created<T> = ElysiaCustomStatusResponse<201, T, 201>;

/**
 * What a creating request does: `make` in one transaction. `headersOf` says where the made thing is, and its ETag;
 * `answer` is the schema of what may be said of it, which is all that is kept.
 */
export type Making<T> = { make: () => T; headersOf: (made: T) => Headers; answer: v.GenericSchema<unknown, T> };

/** The keys of requests whose answer is not there yet, on all routes: one key stands for one request. */
const underWay = new Set<string>();

/**
 * Creating requests that can be sent again (draft-ietf-httpapi-idempotency-key-header). The act is done once for each
 * Idempotency-Key of a caller; act and answer are stored in one transaction, and for a day a repetition gets the same
 * bytes. A refusal is not kept: nothing was made, so the request may be tried again.
 */
export function repeatable({ store, now }: Pick<Master, 'store' | 'now'>) {
  const createAfter = async <P, T>(
    context: Context,
    prepare: () => P | Promise<P>,
    makingOf: (prepared: P) => Making<T>,
  ): Promise<Created<T>> => {
    const respond = (made: T, headers: Headers) => {
      Object.assign(context.set.headers, headers);
      return status(201, made);
    };
    const key = keyOf(context.request, currentVersion(store).epoch);
    if (key === undefined) {
      const { make, headersOf } = makingOf(await prepare());
      const made = make();
      return respond(made, headersOf(made));
    }
    if (underWay.has(key.id))
      throw new Refusal('idempotency-in-flight', 'Its answer is on the way.', undefined, { 'retry-after': '1' });
    const known = keptAnswer(store, key.id, now());
    // The bytes of then, whatever the schema says today.
    if (known !== undefined) return replay(key, known, context) as unknown as Created<T>;
    underWay.add(key.id);
    try {
      const { make, headersOf, answer } = makingOf(await prepare());
      const done = store.write(() => {
        const made = v.parse(answer, make());
        const headers = headersOf(made);
        const kept: Kept = { request: fingerprint(context), headers, body: JSON.stringify(made) };
        keepAnswer(store, key.id, key.seal(JSON.stringify(kept)), now());
        return { made, headers };
      });
      return respond(done.made, done.headers);
    } finally {
      underWay.delete(key.id);
    }
  };

  return new Elysia().derive({ as: 'scoped' }, (context) => ({
    create: <T>(making: Making<T>) =>
      createAfter(
        context,
        () => undefined,
        () => making,
      ),
    /** `prepare` does what cannot be done inside a transaction. */
    createAfter: <P, T>(prepare: () => P | Promise<P>, makingOf: (prepared: P) => Making<T>) =>
      createAfter(context, prepare, makingOf),
  }));
}

function replay(key: AnswerKey, sealed: Uint8Array, context: Context): Response {
  const { request, headers, body }: Kept = JSON.parse(key.open(sealed));
  if (request !== fingerprint(context))
    throw new Refusal('idempotency-mismatch', 'Take a new Idempotency-Key for a new request.');
  return new Response(body, {
    status: 201,
    headers: { ...commonHeaders, 'content-type': 'application/json', ...headers, 'idempotency-replayed': 'true' },
  });
}

/** The draft writes the key in quotes; without them it is the same key. */
function keyOf(request: Request, epoch: number): AnswerKey | undefined {
  const header = request.headers.get('idempotency-key');
  if (header === null) return undefined;
  const key = /^"?([\x21\x23-\x7e]{1,255})"?$/.exec(header.trim())?.[1];
  const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  if (key === undefined || token === undefined) {
    const message = 'must be 1 to 255 letters, digits or signs without spaces, such as a UUID';
    throw new Refusal('invalid-input', undefined, [{ path: 'Idempotency-Key', message }]);
  }
  return answerKey(token, key, epoch);
}

/** The same request: method, path and what its body says, whatever the order of its fields. */
function fingerprint({ request, body }: Context): string {
  return sha256Hex(`${request.method} ${new URL(request.url).pathname}\n${JSON.stringify(body)}`);
}
