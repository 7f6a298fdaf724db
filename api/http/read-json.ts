import { Refusal } from './refusal.ts';

export const bodyLimit = 64 * 1024;
/** An agent's report names every peer it observes. */
export const reportLimit = 4 * 1024 * 1024;

/**
 * A parser for Elysia's `parse` that takes JSON and nothing else, no more than `limit` bytes of it.
 * `admit` runs before a byte is read, so that a stranger cannot make us parse anything on a route that needs a token.
 */
export function readJson(limit: number, admit?: (request: Request) => void) {
  return async ({ request }: { request: Request }): Promise<unknown> => {
    admit?.(request);
    const type = request.headers.get('content-type') ?? '';
    if (!/^application\/json\s*(?:;|$)/i.test(type))
      throw new Refusal('media-type', 'Send JSON with the header Content-Type: application/json.');
    const text = await readText(request, limit);
    try {
      // Elysia takes undefined for "not parsed"; null is a JSON value that no schema of ours accepts.
      return JSON.parse(text);
    } catch {
      throw new Refusal('malformed-request', 'The body is not JSON.');
    }
  };
}

async function readText(request: Request, limit: number): Promise<string> {
  const tooLarge = () => new Refusal('body-too-large', `Send at most ${limit} bytes.`);
  const declared = request.headers.get('content-length');
  if (Number(declared ?? 0) > limit) throw tooLarge();
  // Who declares a length is held to it by the server, and is read in one piece.
  const bytes = declared === null ? await readChunks(request, limit, tooLarge) : await request.bytes();
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal('malformed-request', 'The body is not UTF-8.');
  }
}

async function readChunks(request: Request, limit: number, tooLarge: () => Refusal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
