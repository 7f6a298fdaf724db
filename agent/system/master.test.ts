import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer as createRelay, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { makeAuthority } from '../fixture/authority.ts';
import { makeCertificate } from '../fixture/certificate.ts';
import { verifyTrust } from '../formats/signed.ts';
import type { AgentKey } from './config.ts';
import { connectMaster } from './master.ts';

/** A TLS server that answers one path and remembers every byte that it was sent. */
type Recorder = { url: string; spki: string; received: () => string; close: () => void };

const canMakeCertificates = Bun.which('openssl') !== null;
let directory: string;
let right: Recorder;
let wrong: Recorder;

describe.skipIf(!canMakeCertificates)('the master is known by its key alone', async () => {
  const authority = await makeAuthority();
  let trust = '';

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-pin-'));
    right = await record('right', () => trust);
    wrong = await record('wrong', () => trust);
    trust = await authority.signTrust([right.spki]);
  });
  afterAll(async () => {
    right?.close();
    wrong?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const { kty, crv, x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const key = { kty, crv, x, d } as AgentKey;
  const masterAt = (url: string) => connectMaster({ url, node: 'n1', key, now: () => new Date() });
  const keep = (root: string) => (text: string) => verifyTrust(text, root);

  test('its list of keys is taken, and a token follows on a connection of the same key', async () => {
    const master = masterAt(right.url);
    await master.fetchTrust(keep(authority.root));
    await master.fetchSnapshot(undefined, undefined).catch(() => undefined);
    expect(right.received()).toContain('POST /v1/agent/tokens');
    expect(right.received()).toContain('assertion');
  });

  test('whoever shows the right list by another certificate gets nothing more', async () => {
    const master = masterAt(wrong.url);
    await expect(master.fetchTrust(keep(authority.root))).rejects.toThrow('the list of keys does not name');
    await expect(master.fetchSnapshot(undefined, undefined)).rejects.toThrow('nothing was sent');
    await expect(master.openChannel(() => undefined)).rejects.toThrow('nothing was sent');
    expect(wrong.received()).not.toContain('token');
  });

  test('a list by another root is refused', async () => {
    const other = await makeAuthority();
    await expect(masterAt(right.url).fetchTrust(keep(other.root))).rejects.toThrow('another root key');
  });

  test('whoever takes the place later is sent not one byte', async () => {
    const relay = await relayTo(() => target);
    let target = right.url;
    const master = masterAt(relay.url);
    await master.fetchTrust(keep(authority.root));
    target = wrong.url;
    const before = wrong.received().length;
    await expect(master.fetchSnapshot(undefined, undefined)).rejects.toThrow('nothing was sent');
    await expect(master.report({ drift: [] })).rejects.toThrow('nothing was sent');
    expect(wrong.received().length).toBe(before);
    relay.close();
  });
});

async function record(name: string, trust: () => string): Promise<Recorder> {
  const key = join(directory, `${name}.key`);
  const certificate = join(directory, `${name}.pem`);
  await makeCertificate(key, certificate);
  let received = '';
  const server = createServer({ key: await readFile(key), cert: await readFile(certificate) }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (part: Buffer) => {
      received += part.toString();
      const body = part.toString().startsWith('GET /v1/trust') ? trust() : '{}';
      const status = body === '{}' ? '503 Not Ready' : '200 OK';
      socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
  });
  server.on('tlsClientError', () => undefined);
  const port = await listen(server);
  const { publicKey } = new X509Certificate(await readFile(certificate));
  const spki = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  return { url: `https://127.0.0.1:${port}`, spki, received: () => received, close: () => server.close() };
}

/** Passes bytes on to whoever `target` names at the moment: somebody who sits on the way. */
async function relayTo(target: () => string): Promise<{ url: string; close: () => void }> {
  const server = createRelay((socket) => {
    const onward = connect(Number(new URL(target()).port), '127.0.0.1');
    socket.on('error', () => undefined).pipe(onward);
    onward.on('error', () => undefined).pipe(socket);
  });
  const port = await listen(server);
  return { url: `https://127.0.0.1:${port}`, close: () => server.close() };
}

function listen(server: NetServer): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
