import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authorityIn } from './authority.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-authority-'));
const keys = mkdtempSync(join(folder, 'keys'));
const now = new Date('2026-12-01T08:00:00.000Z');
const authority = authorityIn(keys);
let root = '';

beforeAll(async () => {
  root = await authority.make('corp.internal', now);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function openssl(...words: string[]) {
  const child = Bun.spawn(['openssl', ...words], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

async function request(name: string, ...kind: string[]): Promise<string> {
  const key = join(folder, `${name}.key`);
  const words = kind.length > 0 ? kind : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  expect((await openssl('genpkey', ...words, '-out', key)).status).toBe(0);
  const made = await openssl(
    'req',
    '-new',
    '-key',
    key,
    '-subj',
    '/CN=evil.example.com',
    '-addext',
    'subjectAltName=DNS:evil.example.com',
  );
  return made.stdout;
}

/** What OpenSSL says of a certificate for this name at this moment, trusting the authority alone. */
async function verdict(leaf: string, name: string, at: Date): Promise<string> {
  const [ca, file] = [join(folder, 'root.pem'), join(folder, 'leaf.pem')];
  writeFileSync(ca, root);
  writeFileSync(file, leaf);
  const words = ['verify', '-no-CApath', '-no-CAstore', '-CAfile', ca, '-purpose', 'sslserver'];
  const when = ['-attime', String(Math.floor(at.getTime() / 1000))];
  const { stdout, stderr } = await openssl(...words, ...when, '-verify_hostname', name, file);
  return /: OK$/m.test(stdout) ? 'OK' : (/error \d+ at \d+ depth lookup: (.*)/.exec(stderr)?.[1] ?? stderr);
}

const hour = 3_600_000;
const after = (hours: number) => new Date(now.getTime() + hours * hour);

describe('a certificate', () => {
  test('is for the names that were asked for, whatever the request says, and for 90 days', async () => {
    const names = ['git.corp.internal', 'n1.corp.internal'];
    const leaf = (await authority.certify(await request('n1'), { authority: root, node: 'n1', names }, now)) ?? '';
    expect(new X509Certificate(leaf)).toMatchObject({
      subject: 'CN=n1',
      subjectAltName: 'DNS:git.corp.internal, DNS:n1.corp.internal',
      ca: false,
    });
    for (const [name, hours, says] of [
      ['git.corp.internal', 0, 'OK'],
      ['n1.corp.internal', -0.9, 'OK'],
      ['git.corp.internal', -1.1, 'certificate is not yet valid'],
      ['git.corp.internal', 90 * 24 - 1, 'OK'],
      ['git.corp.internal', 90 * 24 + 1, 'certificate has expired'],
      ['vault.corp.internal', 0, 'hostname mismatch'],
      ['evil.example.com', 0, 'hostname mismatch'],
    ] as const)
      expect([name, hours, await verdict(leaf, name, after(hours))]).toEqual([name, hours, says]);
  });

  test.each([
    ['example.com', 'DNS:example.com'],
    ['corp.internal.example.com', 'DNS:corp.internal.example.com'],
  ])('for %s, outside the domain, is believed by nobody', async (name) => {
    const wanted = { authority: root, node: 'n1', names: [name] };
    const leaf = (await authority.certify(await request('outside'), wanted, now)) ?? '';
    expect(await verdict(leaf, name, now)).toBe('permitted subtree violation');
  });

  test.each([
    ['RSA', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
    ['a curve that is too short', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp224r1']],
  ])('is not made for a key of %s', async (_, kind) =>
    expect(
      await authority.certify(await request('other', ...kind), { authority: root, node: 'n1', names: ['a.b'] }, now),
    ).toBeUndefined(),
  );

  test('is not made for a request that is signed by another key, or is none', async () => {
    const csr = await request('changed');
    const der = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64');
    der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1);
    const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    for (const text of [changed, changed.replace(/\n[^-]+\n/, '\nAAAA\n')])
      expect(await authority.certify(text, { authority: root, node: 'n1', names: ['a.b'] }, now)).toBeUndefined();
  });
});

test('each authority has a key that root alone reads, and leaves nothing else behind', async () => {
  const other = await authority.make('other.internal', now);
  expect(new X509Certificate(other)).toMatchObject({ ca: true, subject: 'CN=Postern other.internal' });
  const files = readdirSync(keys);
  expect(files).toHaveLength(2);
  for (const file of files) expect(statSync(join(keys, file)).mode & 0o777).toBe(0o600);
});
