import { lookup } from 'node:dns/promises';
import { Agent, request as startRequest } from 'node:http';
import { isIP } from 'node:net';
import { connect, rootCertificates, type TLSSocket } from 'node:tls';
import type { DeliveryProblem } from '#contract/webhook.ts';

/** What became of one attempt. `retryAfterSeconds` is how long the receiver asks to be left alone. */
export type Outcome =
  | { ok: true; status: number }
  | { ok: false; problem: DeliveryProblem; status: number | null; retryAfterSeconds?: number };

export type Sender = {
  /** Whether this address may be sent to. */
  mayReceive: (address: string) => boolean;
  /** Certificates (PEM) of authorities that are believed besides the usual ones. */
  authorities: readonly string[];
  /** The addresses of a name. */
  resolve: (name: string) => Promise<readonly string[]>;
  timeoutMilliseconds: number;
};

const timeoutMilliseconds = 15_000;
/** A receiver with more is tried at the first ones. */
const mostAddresses = 4;

export function senderOf(parts: Pick<Sender, 'mayReceive' | 'authorities'>): Sender {
  return { ...parts, resolve: resolveName, timeoutMilliseconds };
}

async function resolveName(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: DeliveryProblem;

  constructor(code: DeliveryProblem) {
    super(code);
    this.code = code;
  }
}

/**
 * Posts a body to a receiver, once. The name is resolved here, each address is checked, and the connection goes to the
 * very address that was: what the name leads to a moment later does not matter. No redirect is followed, and of the answer
 * nothing but its status is read.
 */
export async function send(
  sender: Sender,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  stop?: AbortSignal,
): Promise<Outcome> {
  const signal = AbortSignal.any([
    AbortSignal.timeout(sender.timeoutMilliseconds),
    ...(stop === undefined ? [] : [stop]),
  ]);
  try {
    const addresses = await unlessAborted(allowedAddresses(sender, url), signal);
    return await post(await connectTo(sender, url, addresses, signal), url, headers, body, signal);
  } catch (error) {
    if (signal.aborted) return { ok: false, problem: 'timeout', status: null };
    return { ok: false, problem: error instanceof Failure ? error.code : 'unreachable', status: null };
  }
}

async function allowedAddresses({ resolve, mayReceive }: Sender, url: URL): Promise<string[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) === 0 ? await resolve(host).catch(() => []) : [host];
  if (addresses.length === 0) throw new Failure('name-unknown');
  const allowed = addresses.filter(mayReceive).slice(0, mostAddresses);
  if (allowed.length === 0) throw new Failure('address-refused');
  return allowed;
}

async function connectTo(
  sender: Sender,
  url: URL,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<TLSSocket> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await unlessAborted(openTls(sender, url, address, signal), signal);
    } catch (error) {
      failure = error;
      if (signal.aborted || (error instanceof Failure && error.code === 'certificate-refused')) break;
    }
  }
  throw failure;
}

function openTls({ authorities }: Sender, url: URL, address: string, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const name = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({
      host: address,
      port: Number(url.port || 443),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] }),
    });
    let isConnected = false;
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.once('connect', () => {
      isConnected = true;
    });
    // Once the other side has answered at all, what fails is the agreement on its certificate.
    socket.on('error', () => reject(new Failure(isConnected ? 'certificate-refused' : 'unreachable')));
    socket.once('close', () => reject(new Failure('unreachable')));
    socket.once('secureConnect', () => {
      if (socket.authorized) resolve(socket);
      else socket.destroy(new Failure('certificate-refused'));
    });
  });
}

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

function post(
  socket: TLSSocket,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const request = startRequest({
    host: url.hostname,
    port: url.port || 443,
    method: 'POST',
    path: `${url.pathname}${url.search}`,
    agent: new OneConnection(socket),
    headers: {
      host: url.host,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'Postern-Webhooks',
      connection: 'close',
      ...headers,
    },
  });
  request.on('error', () => reject(new Failure('unreachable')));
  signal.addEventListener('abort', () => reject(new Failure('timeout')), { once: true });
  request.on('response', (response) => {
    const status = response.statusCode ?? 0;
    const asked = Number(response.headers['retry-after']);
    response.destroy();
    if (status >= 200 && status < 300) resolve({ ok: true, status });
    else resolve({ ok: false, problem: 'status', status, ...(asked > 0 ? { retryAfterSeconds: asked } : {}) });
  });
  request.end(body);
  return promise.finally(() => socket.destroy());
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => aborted.reject(new Failure('timeout')), { once: true });
  if (signal.aborted) aborted.reject(new Failure('timeout'));
  return Promise.race([promise, aborted.promise]);
}
