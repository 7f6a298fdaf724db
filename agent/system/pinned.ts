import { createHash } from 'node:crypto';
import { Agent, type ClientRequest, type IncomingHttpHeaders, request as startRequest } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';

/** The master did not answer as it should; the agent goes on from its cache and tries again. */
export class MasterUnreachable extends Error {
  override readonly name = 'MasterUnreachable';
  readonly code = 'master-unreachable';
}

/** Whoever answered at the master's address showed a certificate that the root does not list. Nothing was sent. */
export class WrongCertificate extends Error {
  override readonly name = 'WrongCertificate';
  readonly code = 'wrong-certificate';

  constructor(url: string) {
    super(`${url} shows a certificate that is not the master's; nothing was sent to it`);
  }
}

const connectLimitMs = 5_000;
const answerLimitMs = 15_000;
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * Opens a TLS connection and looks at the certificate before anything is sent on it. `isTrusted` gets the SHA-256 of
 * its public key (SubjectPublicKeyInfo) in base64url. Names and issuers do not count: the key is pinned.
 *
 * @throws WrongCertificate, MasterUnreachable
 */
export function openPinned(url: URL, isTrusted: (spki: string) => boolean): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({
      host,
      port: Number(url.port || 443),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const timer = setTimeout(
      () => fail(new MasterUnreachable(`${url.origin} did not answer within ${connectLimitMs / 1000} s`)),
      connectLimitMs,
    );
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.on('error', (cause) => fail(new MasterUnreachable(`${url.origin}: ${cause.message}`, { cause })));
    socket.on('close', () => fail(new MasterUnreachable(`${url.origin} hung up`)));
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined || !isTrusted(spkiHash(certificate.publicKey))) {
        fail(new WrongCertificate(url.origin));
        return;
      }
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

export function spkiHash(key: { export(options: { type: 'spki'; format: 'der' }): string | Buffer }): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

export type Answer = { status: number; headers: IncomingHttpHeaders; body: string };
export type Ask = { method: string; path: string; headers?: Record<string, string>; body?: string };

/** One request on a connection that has been looked at. Afterwards it is free for another, unless it ended. */
export function askOn(socket: TLSSocket, url: URL, ask: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = requestOn(socket, url, ask);
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new MasterUnreachable(`${ask.method} ${ask.path}: no answer within ${answerLimitMs / 1000} s`)),
      answerLimitMs,
    );
    request.on('error', (cause) =>
      fail(new MasterUnreachable(`${ask.method} ${ask.path}: ${cause.message}`, { cause })),
    );
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > maxAnswerBytes) fail(new MasterUnreachable(`${ask.method} ${ask.path}: the answer is too long`));
        else parts.push(part);
      });
      response.on('aborted', () => fail(new MasterUnreachable(`${ask.method} ${ask.path}: the answer was cut off`)));
      response.on('end', () => {
        clearTimeout(timer);
        if (response.headers.connection === 'close') socket.destroy();
        const body = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    request.end(ask.body);
  });
}

/** Hands out one connection and no other. Bun hears `createConnection` of an agent alone, not that of a request. */
class OneConnection extends Agent {
  private readonly socket: TLSSocket;

  constructor(socket: TLSSocket) {
    super({ keepAlive: true, maxSockets: 1 });
    this.socket = socket;
  }

  override createConnection(): TLSSocket {
    return this.socket;
  }
}

const agents = new WeakMap<TLSSocket, OneConnection>();

/** A request that is bound to one connection. The certificate was judged already, by its key. */
export function requestOn(socket: TLSSocket, url: URL, { method, path, headers = {}, body }: Ask): ClientRequest {
  const agent = agents.get(socket) ?? new OneConnection(socket);
  agents.set(socket, agent);
  return startRequest({
    host: url.hostname,
    port: url.port || 443,
    method,
    path: `${url.pathname.replace(/\/$/, '')}${path}`,
    agent,
    headers: {
      host: url.host,
      connection: 'keep-alive',
      ...headers,
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
  });
}
