import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { makeCertificate } from '../fixture/certificate.ts';
import { askOn, openPinned } from './pinned.ts';

/** A master that tells on which of its connections it was asked what. */

const folder = mkdtempSync(join(tmpdir(), 'postern-pinned-'));
const asked: string[] = [];
let connections = 0;
let server: Server;
let url: URL;

beforeAll(async () => {
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
  await makeCertificate(files.key, files.cert);
  server = createServer({ key: readFileSync(files.key), cert: readFileSync(files.cert) }, (socket) => {
    const number = ++connections;
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      asked.push(`${number} ${bytes.toString().split(' HTTP')[0]}`);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  url = new URL(`https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

test('all requests go over the very connection whose certificate was looked at', async () => {
  const socket = await openPinned(url, () => true);
  for (const path of ['/a', '/b', '/c'])
    expect(await askOn(socket, url, { method: 'GET', path, headers: { authorization: 'Bearer x' } })).toMatchObject({
      status: 200,
      body: 'ok',
    });
  expect({ connections, asked }).toEqual({ connections: 1, asked: ['1 GET /a', '1 GET /b', '1 GET /c'] });
  socket.destroy();
});
