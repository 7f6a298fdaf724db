/**
 * Calls an HTTPS API from inside a host, as often as it is asked: `bun caller.ts`.
 *
 * It asks for no certificate it could check: it stands beside the API, and what clients check is tested on clients.
 */
import { answerAll } from './answering.ts';

/** Longer than any answer takes that waits for nodes. A master that is gone says nothing at all. */
const limitMs = 30_000;
const now = () => performance.timeOrigin + performance.now();
type Call = { method: string; url: string; token?: string; headers?: Record<string, string>; body?: unknown };

await answerAll(async ({ method, url, token, headers = {}, body }: Call) => {
  const sentAt = now();
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(limitMs),
    });
    const text = await response.text();
    return { status: response.status, text, etag: response.headers.get('etag'), sentAt, answeredAt: now() };
  } catch (error) {
    return { status: 0, text: String(error), etag: null, sentAt, answeredAt: now() };
  }
});
