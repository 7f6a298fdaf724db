import { createHash } from 'node:crypto';
import { Agent } from 'node:http';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Thumbprint } from '#contract/key.ts';
import type { ClientFailure } from './failure.ts';
import { untrusted } from './trust.ts';

const connectLimitMs = 5_000;

/**
 * Keeps one TLS connection to the master. Names and issuers of certificates do not count: the key does. Every
 * connection is looked at when its handshake ends, before a byte of a request is written, and destroyed if its key is
 * not one that `accept` takes.
 */
export class PinnedAgent extends Agent {
  private readonly url: URL;
  private readonly accept: (spki: Thumbprint) => boolean;
  private readonly seen = new WeakMap<object, Thumbprint>();

  constructor(url: URL, accept: (spki: Thumbprint) => boolean) {
    super({ keepAlive: true, maxSockets: 1 });
    this.url = url;
    this.accept = accept;
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, socket: TLSSocket) => void): undefined {
    const host = this.url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({
      host,
      port: Number(this.url.port || 443),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    let isSettled = false;
    const settle = (error: Error | null) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      if (error !== null) socket.destroy();
      callback?.(error, socket);
    };
    const timer = setTimeout(
      () => settle(new Error(`no TLS connection within ${connectLimitMs / 1000} s`)),
      connectLimitMs,
    );
    socket.once('secureConnect', () => {
      const spki = spkiOf(socket);
      if (spki !== undefined) this.seen.set(socket, spki);
      settle(spki !== undefined && this.accept(spki) ? null : wrongCertificate(this.url));
    });
    socket.on('error', (error) => settle(error));
    socket.on('close', () => settle(new Error('the connection was closed before it was secured')));
  }

  /** What was seen of a connection when it was made. Asked again later, Node no longer knows. */
  spkiOf(socket: object): Thumbprint | undefined {
    return this.seen.get(socket);
  }
}

/** SHA-256 of the SubjectPublicKeyInfo of the certificate that the other side showed and proved to hold. */
function spkiOf(socket: TLSSocket): Thumbprint | undefined {
  const key = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
  return key === undefined ? undefined : createHash('sha256').update(key).digest('base64url');
}

export function wrongCertificate(url: URL): ClientFailure {
  return untrusted('wrong-certificate', `${url.origin} shows a certificate that is not the master's`);
}
