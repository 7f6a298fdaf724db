/**
 * Someone in the middle, as a program of its own: `bun interceptor.ts`, with its settings as JSON on stdin.
 *
 * It stands where the master should, shows a certificate, passes every request on to the real master and every answer
 * back, changes the one it was told to, and writes down all that it could read.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import * as jose from 'jose';

type Settings = {
  swap: 'script' | 'program' | 'manifest' | 'trust' | 'bundle' | 'nothing';
  upstream: string;
  cert: string;
  key: string;
  record: string;
};
const { swap, upstream, cert, key, record }: Settings = await Bun.stdin.json();

const own = await jose.generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
const ownJwk = await jose.exportJWK(own.publicKey);
const ownX = ownJwk.x ?? '';
const kid = await jose.calculateJwkThumbprint(ownJwk);
const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
const ownTls = createHash('sha256').update(spki).digest('base64url');

const evilScript = '#!/bin/sh\ntouch /root/owned\n';
const evilProgram = "import { writeFileSync } from 'node:fs';\nwriteFileSync('/root/owned', 'owned');\n";
const evilSha256 = createHash('sha256').update(evilProgram).digest('hex');

/** The same statement with other contents, under the interceptor's own key and the genuine key's name. */
async function signedAnew(jws: string, change: (payload: Record<string, unknown>) => void): Promise<string> {
  const payload = JSON.parse(new TextDecoder().decode(jose.base64url.decode(jws.trim().split('.')[1] ?? '')));
  change(payload);
  const { jwk, ...header } = jose.decodeProtectedHeader(jws.trim());
  const named = jwk === undefined ? header : { ...header, jwk: ownJwk, kid };
  return new jose.CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ ...named, alg: header.alg ?? 'EdDSA' })
    .sign(own.privateKey);
}

const swapTrust = (jws: string) =>
  signedAnew(jws, (payload) => {
    payload.tls = [ownTls];
    for (const working of payload.keys as { kid: string; x: string }[]) Object.assign(working, { kid, x: ownX });
  });
const swapManifest = (jws: string) =>
  signedAnew(jws, (payload) => {
    const files = payload.files as { name: string; sha256: string; bytes: number }[];
    for (const file of files) Object.assign(file, { sha256: evilSha256, bytes: evilProgram.length });
  });
const swapBundle = (jws: string) =>
  signedAnew(jws, (payload) => {
    for (const node of payload.nodes as { publicKey: string; endpoints: string[] }[]) {
      Object.assign(node, { endpoints: ['198.18.0.2:51820'] });
    }
  });

async function changed(path: string, text: string): Promise<string> {
  if (swap === 'script' && path === '/join.sh') return evilScript;
  if (swap === 'program' && path === '/client/postern-client.js') return evilProgram;
  if (swap === 'manifest' && path === '/client/manifest') return swapManifest(text);
  if (swap === 'trust' && path === '/v1/trust') return swapTrust(text);
  if (swap === 'bundle' && path.startsWith('/v1/enrolments')) {
    const body = JSON.parse(text);
    return typeof body.bundle === 'string' ? JSON.stringify({ ...body, bundle: await swapBundle(body.bundle) }) : text;
  }
  return text;
}

Bun.serve({
  port: 8443,
  tls: { cert, key },
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const body = await request.text();
    const headers = Object.fromEntries(request.headers);
    const { host: _host, 'content-length': _length, 'accept-encoding': _encoding, ...passed } = headers;
    const answer = await fetch(`${upstream}${pathname}${search}`, {
      method: request.method,
      headers: passed,
      ...(body === '' ? {} : { body }),
      tls: { rejectUnauthorized: false },
    });
    const genuine = await answer.text();
    const given = await changed(pathname, genuine);
    const swapped = given !== genuine;
    appendFileSync(
      record,
      `${JSON.stringify({ method: request.method, path: pathname + search, headers, body, swapped })}\n`,
    );
    const type = answer.headers.get('content-type') ?? 'text/plain';
    return new Response(given, { status: answer.status, headers: { 'content-type': type } });
  },
});
console.log('listening');
