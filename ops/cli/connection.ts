import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';

/** The master did not answer, or not in time. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  readonly code = 'master-unreachable';
}

/** Whoever answers is not the master whose root key is pinned. Nothing secret was sent. */
export class Untrusted extends Error {
  override readonly name = 'Untrusted';
  readonly code = 'master-untrusted';
}

const connectLimitMs = 5_000;
const answerLimitMs = 15_000;

/** Hands out one connection and no other. Bun hears `createConnection` of an agent alone, not that of a request. */
class OneConnection extends Agent {
  private readonly socket: TLSSocket;

  constructor(socket: TLSSocket) {
    super();
    this.socket = socket;
  }

  override createConnection(): TLSSocket {
    return this.socket;
  }
}

export type Ask = { method: string; path: string; headers?: Record<string, string>; body?: string };
export type Answer = { status: number; body: string; spki: string };

/** Takes a part of an answer; the next one waits until it is done. */
export type Receive = (part: Uint8Array) => Promise<void>;

/**
 * One request over TLS. Names and issuers of certificates do not count: `accept` gets the SHA-256 of the public key
 * (SubjectPublicKeyInfo, base64url) before a byte of the request is sent. What is wanted (2xx) goes to `receive`, where
 * there is one, as it comes; then the answer's own body is empty.
 *
 * @throws Untrusted, Unreachable
 */
export async function ask(
  url: URL,
  { method, path, headers = {}, body }: Ask,
  accept: (spki: string) => boolean,
  receive?: Receive,
): Promise<Answer> {
  const { socket, spki } = await open(url);
  if (!accept(spki)) {
    socket.destroy();
    throw new Untrusted(`${url.origin} shows a certificate that is not the master's; nothing was sent to it`);
  }
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Unreachable(`${url.origin}: ${why}`, { cause }));
    };
    const timer = setTimeout(() => fail(`no answer within ${answerLimitMs / 1000} s`), answerLimitMs);
    const sent = request(
      {
        host: url.hostname,
        port: url.port || 443,
        method,
        path,
        agent: new OneConnection(socket),
        headers: {
          host: url.host,
          ...headers,
          connection: 'close',
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        const parts: Uint8Array[] = [];
        const keep: Receive = async (part) => void parts.push(part);
        const take = receive !== undefined && status >= 200 && status < 300 ? receive : keep;
        const takeAll = async () => {
          for await (const part of response as AsyncIterable<Buffer>) {
            timer.refresh();
            await take(part);
          }
          clearTimeout(timer);
          socket.destroy();
          resolve({ status, body: Buffer.concat(parts).toString('utf8'), spki });
        };
        response.on('aborted', () => fail('the answer was cut off'));
        takeAll().catch((cause) => {
          clearTimeout(timer);
          socket.destroy();
          reject(cause);
        });
      },
    );
    sent.on('error', (cause) => fail(cause.message, cause));
    sent.end(body);
  });
}

function open(url: URL): Promise<{ socket: TLSSocket; spki: string }> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Unreachable(`${url.origin}: ${why}`, { cause }));
    };
    const socket = connect({
      host,
      port: Number(url.port || 443),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const timer = setTimeout(() => fail(`no connection within ${connectLimitMs / 1000} s`), connectLimitMs);
    socket.once('error', (cause) => fail(cause.message, cause));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      const key = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
      if (key === undefined) fail('it shows no certificate');
      else resolve({ socket, spki: createHash('sha256').update(key).digest('base64url') });
    });
  });
}
