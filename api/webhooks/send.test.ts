import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:net';
import { certificateFor, type Receiver, receiverOf } from '../test-kit/receiver.ts';
import { type Sender, send } from './send.ts';

/** The real sender against real receivers behind TLS on loopback addresses. */

let certificate: Awaited<ReturnType<typeof certificateFor>>;
let stranger: Awaited<ReturnType<typeof certificateFor>>;
const open: { stop(): void }[] = [];

beforeAll(async () => {
  certificate = await certificateFor('hooks.example.com');
  stranger = await certificateFor('other.example.com');
});
afterEach(() => {
  for (const one of open.splice(0)) one.stop();
});
afterAll(() => {
  certificate.remove();
  stranger.remove();
});

function receiver(hostname = '127.0.0.1', port = 0, tls = certificate): Receiver {
  const made = receiverOf(tls, hostname, port);
  open.push(made);
  return made;
}

const senderTo = (addresses: readonly string[], change: Partial<Sender> = {}): Sender => ({
  mayReceive: () => true,
  authorities: [certificate.cert],
  resolve: async () => addresses,
  timeoutMilliseconds: 5_000,
  ...change,
});
const urlOf = ({ port }: { port: number }) => new URL(`https://hooks.example.com:${port}/in?x=1`);
const post = (sender: Sender, url: URL, body = '{}') => send(sender, url, { 'webhook-id': 'evt_1' }, body);

describe('send', () => {
  test('posts the body as it is, to the name of the receiver', async () => {
    const one = receiver();
    const body = JSON.stringify({ text: 'Größe “ok”' });
    expect(await post(senderTo(['127.0.0.1']), urlOf(one), body)).toEqual({ ok: true, status: 204 });
    expect(one.received).toHaveLength(1);
    expect(one.received[0]).toMatchObject({
      path: '/in',
      body,
      headers: { host: `hooks.example.com:${one.port}`, 'content-type': 'application/json', 'webhook-id': 'evt_1' },
    });
  });

  test('goes to the address that was looked at, whatever the name leads to then', async () => {
    const good = receiver('127.0.0.2');
    const inner = receiver('127.0.0.1', good.port);
    let asked = 0;
    const sender = senderTo([], {
      mayReceive: (address) => address === '127.0.0.2',
      resolve: async () => (asked++ === 0 ? ['127.0.0.2'] : ['127.0.0.1']),
    });
    expect(await post(sender, urlOf(good))).toEqual({ ok: true, status: 204 });
    expect([asked, good.received.length, inner.received.length]).toEqual([1, 1, 0]);
    expect(await post(sender, urlOf(good))).toEqual({ ok: false, problem: 'address-refused', status: null });
    expect([asked, good.received.length, inner.received.length]).toEqual([2, 1, 0]);
  });

  test('leaves out of several addresses those that are refused, and tries the next when one is dead', async () => {
    const good = receiver('127.0.0.2');
    const inner = receiver('127.0.0.1', good.port);
    const sender = senderTo(['127.0.0.1', '127.0.0.3', '127.0.0.2'], {
      mayReceive: (address) => address !== '127.0.0.1',
    });
    expect(await post(sender, urlOf(good))).toEqual({ ok: true, status: 204 });
    expect(inner.received).toEqual([]);
  });

  test('opens no connection to a refused address', async () => {
    let connections = 0;
    const server: Server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    open.push({ stop: () => void server.close() });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const refusing = senderTo(['127.0.0.1'], { mayReceive: () => false });
    for (const url of [urlOf({ port }), new URL(`https://127.0.0.1:${port}/`), new URL(`https://0x7f000001:${port}/`)])
      expect(await post(refusing, url)).toEqual({ ok: false, problem: 'address-refused', status: null });
    expect(connections).toBe(0);
    await post(senderTo(['127.0.0.1']), urlOf({ port }));
    expect(connections).toBe(1);
  });

  test('takes an address in the URL for what it is, and asks nobody for it', async () => {
    const own = await certificateFor('127.0.0.1');
    const one = receiver('127.0.0.1', 0, own);
    const resolve = async () => {
      throw new Error('asked');
    };
    const sender = senderTo([], { resolve, authorities: [own.cert] });
    expect(await post(sender, new URL(`https://127.0.0.1:${one.port}/`))).toEqual({ ok: true, status: 204 });
    own.remove();
  });

  test('follows no redirect', async () => {
    const target = receiver();
    const one = receiver();
    one.answer(() => Response.redirect(urlOf(target).href, 307));
    expect(await post(senderTo(['127.0.0.1']), urlOf(one))).toEqual({ ok: false, problem: 'status', status: 307 });
    expect(target.received).toEqual([]);
  });

  test('says when a receiver wants to be left alone', async () => {
    const one = receiver();
    one.answer(() => new Response('later', { status: 503, headers: { 'retry-after': '120' } }));
    expect(await post(senderTo(['127.0.0.1']), urlOf(one))).toEqual({
      ok: false,
      problem: 'status',
      status: 503,
      retryAfterSeconds: 120,
    });
  });

  test.each([
    ['of an authority that nobody knows', () => ({ authorities: [] }), () => certificate],
    ['of another name', () => ({ authorities: [stranger.cert] }), () => stranger],
  ])('sends nothing to a receiver with a certificate %s', async (_, change, tls) => {
    const one = receiver('127.0.0.1', 0, tls());
    const outcome = await post(senderTo(['127.0.0.1'], change()), urlOf(one));
    expect(outcome).toEqual({ ok: false, problem: 'certificate-refused', status: null });
    expect(one.received).toEqual([]);
  });

  test.each([
    ['a name that leads nowhere', { resolve: async () => Promise.reject(new Error('ENOTFOUND')) }, 'name-unknown'],
    ['a name without addresses', { resolve: async () => [] }, 'name-unknown'],
    ['nobody who listens', {}, 'unreachable'],
    [
      'a name server that does not answer',
      { resolve: () => new Promise<string[]>(() => {}), timeoutMilliseconds: 50 },
      'timeout',
    ],
  ])('tells %s', async (_, change, problem) => {
    const gone = receiver();
    gone.stop();
    expect(await post(senderTo(['127.0.0.1'], change), urlOf(gone))).toMatchObject({ ok: false, problem });
  });

  test('does not wait for a receiver that takes the request and says nothing', async () => {
    const one = receiver();
    const never = Promise.withResolvers<Response>();
    one.answer(() => never.promise);
    const outcome = await post(senderTo(['127.0.0.1'], { timeoutMilliseconds: 100 }), urlOf(one));
    expect(outcome).toEqual({ ok: false, problem: 'timeout', status: null });
    never.resolve(new Response());
  });

  test('does not wait for a receiver that speaks no TLS', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    open.push({ stop: () => void server.close() });
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const outcome = await post(senderTo(['127.0.0.1'], { timeoutMilliseconds: 100 }), urlOf({ port }));
    expect(outcome).toEqual({ ok: false, problem: 'timeout', status: null });
  });

  test('reads nothing of an answer without an end', async () => {
    const one = receiver();
    let sent = 0;
    let isCut = false;
    one.answer(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              sent += 65_536;
              controller.enqueue(new Uint8Array(65_536));
              await Bun.sleep(1);
            },
            cancel() {
              isCut = true;
            },
          }),
        ),
    );
    expect(await post(senderTo(['127.0.0.1']), urlOf(one))).toEqual({ ok: true, status: 200 });
    for (let tries = 0; tries < 200 && !isCut; tries++) await Bun.sleep(10);
    expect([isCut, sent < 64 * 1024 * 1024]).toEqual([true, true]);
  });

  test('stops when it is told to', async () => {
    const one = receiver();
    one.answer(() => new Promise(() => {}));
    const stop = new AbortController();
    const sending = send(senderTo(['127.0.0.1']), urlOf(one), {}, '{}', stop.signal);
    await one.got(1);
    stop.abort();
    expect((await sending).ok).toBe(false);
  });
});
