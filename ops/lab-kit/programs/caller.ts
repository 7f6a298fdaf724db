/**
 * Calls an HTTPS API from inside a host: `bun caller.ts`, one JSON object a line on stdin, one on stdout for each.
 *
 * It asks for no certificate it could check: it stands beside the API, and what clients check is tested on clients.
 */
import { createInterface } from 'node:readline';

const now = () => performance.timeOrigin + performance.now();
type Call = { id: number; method: string; url: string; token?: string; body?: unknown };

for await (const line of createInterface({ input: process.stdin })) void answer(JSON.parse(line));

async function answer({ id, method, url, token, body }: Call): Promise<void> {
  const sentAt = now();
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { rejectUnauthorized: false },
    });
    const text = await response.text();
    console.log(JSON.stringify({ id, status: response.status, text, sentAt, answeredAt: now() }));
  } catch (error) {
    console.log(JSON.stringify({ id, status: 0, text: String(error), sentAt, answeredAt: now() }));
  }
}
