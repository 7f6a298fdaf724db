import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { codeFromBytes } from '#contract/code.ts';
import { testMaster } from './test-kit/master.ts';
import {
  type Initialised,
  newInstallation,
  removeStateDirs,
  type ServingProcess,
  serving,
} from './test-kit/processes.ts';

/** What others notice of strangers who mean no good: nothing but time. */

setDefaultTimeout(60_000);

let made: Initialised;
let master: ServingProcess;
beforeAll(async () => {
  made = await newInstallation();
  master = await serving(made.stateDir);
});
afterAll(async () => {
  await master.end('SIGKILL');
  removeStateDirs();
});

const port = () => Number(new URL(master.url).port);

/** An open connection, what came through it, and when it was ended. */
type Line = { socket: Socket; said: () => string; closed: Promise<void>; isClosed: () => boolean };

function line(socket: Socket, ready: 'connect' | 'secureConnect'): Promise<Line> {
  let said = '';
  let closed = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk) => {
    said += chunk;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
    resolve();
  });
  const open = { socket, said: () => said, closed: promise, isClosed: () => closed };
  return new Promise((done) => {
    socket.once(ready, () => done(open));
    socket.once('close', () => done(open));
  });
}

// localAddress is passed on to net.connect, which the types do not say.
const secure = (localAddress = '127.0.0.1') => {
  const options = { host: '127.0.0.1', port: port(), localAddress, rejectUnauthorized: false };
  return line(connect(options), 'secureConnect');
};
const plain = (localAddress: string) =>
  line(connectPlain({ host: '127.0.0.1', port: port(), localAddress }), 'connect');

const head = (path: string, ...headers: string[]) =>
  `${[`POST ${path} HTTP/1.1`, 'Host: postern', 'Content-Type: application/json', ...headers].join('\r\n')}\r\n\r\n`;

/** Asks again and again, as an admin's script does. @returns how long each answer took, in milliseconds. */
async function askOften(count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    expect((await master.send('GET', '/v1/users', made.ownerToken)).status).toBe(200);
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b);
}

describe('a body that is too large', () => {
  test.each([
    ['declared', ['Content-Length: 10000000'], (mb: Buffer) => mb],
    [
      'in chunks',
      ['Transfer-Encoding: chunked'],
      (mb: Buffer) => Buffer.concat([Buffer.from(`${mb.length.toString(16)}\r\n`), mb, Buffer.from('\r\n')]),
    ],
  ])('%s is refused in words, and not read', async (_, headers, framed) => {
    const begun = performance.now();
    const { socket, said, closed } = await secure();
    socket.write(head('/v1/enrolments', ...headers));
    for (let mb = 0; mb < 10 && !socket.destroyed; mb++) socket.write(framed(Buffer.alloc(1_000_000, 'x')));
    await closed;
    expect(said()).toStartWith('HTTP/1.1 413');
    expect(said()).toContain('"code":"body-too-large"');
    // Rather than when Bun ends an idle connection.
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});

test.each([
  ['a header', `GET / HTTP/1.1\r\nHost: postern\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['a path', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: postern\r\n\r\n`],
  ['a crowd of headers', `GET / HTTP/1.1\r\nHost: postern\r\n${'X: y\r\n'.repeat(500)}\r\n`],
])('%s that is too large is refused, and the connection with it', async (_, request) => {
  const { socket, said, closed } = await secure();
  socket.write(request);
  await closed;
  expect(said()).toStartWith('HTTP/1.1 431');
});

test('who sends slowly, or nothing, or too much, is let go; others are answered all the while', async () => {
  const alone = await askOften(60);
  const begun = performance.now();
  const slow = await Promise.all([
    ...Array.from({ length: 40 }, async (_, i) => {
      const dribbled = await secure(`127.0.1.${i + 1}`);
      dribbled.socket.write('GET /healthz HTTP/1.1\r\nHost: postern\r\n');
      const timer = setInterval(() => dribbled.socket.write('X'), 500);
      void dribbled.closed.then(() => clearInterval(timer));
      return dribbled;
    }),
    ...Array.from({ length: 800 }, (_, i) => plain(`127.0.2.${(i % 200) + 1}`)),
  ]);
  const bodies = (async () => {
    for (let i = 0; i < 20; i++) {
      const { socket, closed } = await secure('127.0.3.1');
      socket.write(head('/v1/enrolments', 'Content-Length: 10000000'));
      socket.write(Buffer.alloc(1_000_000));
      await closed;
    }
  })();
  const beside = await askOften(60);
  await bodies;
  await Promise.all(slow.map(({ closed }) => closed));
  // Bun's own limit is 10 seconds, which it looks at every four; the rest is for a busy machine.
  expect(performance.now() - begun).toBeLessThan(40_000);
  // Noise makes single ones slow, with and without a crowd: the measure is the middle one, generously.
  const middle = (times: number[]) => times[Math.floor(times.length / 2)] ?? 0;
  expect(middle(beside)).toBeLessThan(3 * middle(alone) + 20);
});

test('one address has its share of connections, and takes none of others', async () => {
  const other = await secure('127.0.4.2');
  const many = await Promise.all(Array.from({ length: 400 }, () => plain('127.0.4.1')));
  const isOver = () => many.filter((one) => !one.isClosed()).length <= 256;
  for (let tries = 0; tries < 80 && !isOver(); tries++) await Bun.sleep(50);
  const left = many.filter((one) => !one.isClosed()).length;
  expect(left).toBeLessThanOrEqual(256);
  expect(left).toBeGreaterThan(200);
  other.socket.write('GET /healthz HTTP/1.1\r\nHost: postern\r\n\r\n');
  for (let tries = 0; tries < 100 && other.said() === ''; tries++) await Bun.sleep(20);
  expect(other.said()).toStartWith('HTTP/1.1 200');
  for (const { socket } of [other, ...many]) socket.destroy();
});

test('after 100,000 guesses from everywhere a valid code from another address is still redeemed', async () => {
  const postern = await testMaster({ limits: { slowDownMilliseconds: 30 } });
  const { code } = await postern.issue(postern.owner.id);
  const { limits } = postern.master;
  for (let i = 0; i < 100_000; i++) await limits.countFailure(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  const { request } = await postern.newDevice();
  const redeem = (by: string, address: string) => {
    postern.caller.address = address;
    return postern.send('POST', '/v1/enrolments', undefined, { code: by, ...request });
  };
  for (let i = 0; i < 20; i++) {
    const guess = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
    expect((await redeem(guess, `192.0.2.${i}`)).status).toBe(404);
  }
  const begun = performance.now();
  expect((await redeem(code, '198.51.100.99')).status).toBe(201);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(25);
});
