import { beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type { IssuedCertificate } from '#contract/certificate.ts';
import { bundleOf } from './store/bundles.ts';
import { furnishAuthority } from './store/network-settings.ts';
import { readSettings } from './store/settings.ts';
import { testMaster } from './test-kit/master.ts';

const postern = await testMaster();
const n1 = await postern.addMachine('n1');
const ben = await postern.enrol('ben@example.com');
const agent = await postern.tokenFor('agent', 'n1', n1.key);
let csr = '';

beforeAll(async () => {
  const words = [
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    '/dev/null',
  ];
  csr = await Bun.spawn(['openssl', ...words, '-subj', '/CN=whatever'], {
    stdout: 'pipe',
    stderr: 'ignore',
  }).stdout.text();
});

const issue = () => postern.ask<IssuedCertificate>(200, 'POST', '/v1/agent/certificate', agent, { csr });
const service = (name: string, dnsName: string, front?: 'https') => ({
  name,
  address: '172.19.0.10',
  ports: ['tcp/8080'],
  dnsName,
  ...(front === undefined ? {} : { front }),
});

describe('the authority for the internal domain', () => {
  test('is not there before it is made, and nothing is said of it', async () => {
    expect((await postern.send('GET', '/v1/authority')).status).toBe(404);
    const asked = await postern.send('POST', '/v1/agent/certificate', agent, { csr });
    expect(asked).toMatchObject({ status: 503, body: { code: 'not-ready' } });
    expect(bundleOf(postern.store, ben.lease.id)?.content.authority).toBeUndefined();
  });

  test('made once, is told to everybody and to each device', async () => {
    const { store, clock, master } = postern;
    const before = readSettings(store).revision;
    const made = await master.authority.make('corp.internal', clock.now);
    for (const authority of [made, 'another']) furnishAuthority(store, 'corp.internal', authority, clock.now);
    expect(readSettings(store).revision).toBe(before + 1);
    const shown = await postern.send('GET', '/v1/authority');
    expect([shown.body, shown.headers.get('content-type')]).toEqual([made, 'application/x-pem-file']);
    expect(bundleOf(store, ben.lease.id)).toMatchObject({ revision: before + 1, content: { authority: made } });
  });

  test('vouches for a node’s own name and for fronts in the domain, those of the policy in force', async () => {
    expect((await issue()).names).toEqual(['n1.corp.internal']);
    const network = { name: 'lan', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth1' }] };
    await postern.ask(201, 'POST', '/v1/networks', postern.ownerToken, network);
    for (const one of [
      service('wiki', 'wiki.corp.internal', 'https'),
      service('plain', 'plain.corp.internal'),
      service('away', 'away.example.com', 'https'),
    ])
      await postern.ask(201, 'POST', '/v1/services', postern.ownerToken, one);
    const { certificate, authority, names, notAfter } = await issue();
    expect(names).toEqual(['n1.corp.internal', 'wiki.corp.internal']);
    const leaf = new X509Certificate(certificate);
    expect(leaf.subjectAltName).toBe('DNS:n1.corp.internal, DNS:wiki.corp.internal');
    expect(leaf.verify(new X509Certificate(authority).publicKey)).toBe(true);
    expect(Date.parse(notAfter) - postern.clock.now.getTime()).toBe(90 * 86_400_000);
    const row = postern.store.db
      .query<{ detail: string }, []>("SELECT detail FROM audit WHERE act = 'certificate.issue' ORDER BY id DESC")
      .get();
    expect(JSON.parse(row?.detail ?? '')).toEqual({ names, serialNumber: leaf.serialNumber, notAfter });
  });

  test('refuses what is no sound request', async () => {
    const der = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64');
    der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1);
    const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const asked = await postern.send('POST', '/v1/agent/certificate', agent, { csr: changed });
    expect(asked).toMatchObject({ status: 400, body: { code: 'key-refused' } });
  });

  test('is another one for another domain', async () => {
    const { authority: first } = await issue();
    await postern.ask(200, 'PATCH', '/v1/settings', postern.ownerToken, { domain: 'example.com' });
    const { authority, names } = await issue();
    expect(authority).not.toBe(first);
    expect(names).toEqual(['away.example.com', 'n1.example.com']);
    expect(bundleOf(postern.store, ben.lease.id)?.content).toMatchObject({ domain: 'example.com', authority });
    const rows = postern.store.db.query("SELECT detail FROM audit WHERE act = 'settings.change'").values().join();
    expect(rows).not.toContain('CERTIFICATE');
  });
});
