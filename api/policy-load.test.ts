import { afterAll, expect, test } from 'bun:test';
import type { EnrolmentLease } from '#contract/enrolment.ts';
import { credential, wireguardKey } from './test-kit/keys.ts';
import { newInstallation, removeStateDirs, serving } from './test-kit/processes.ts';

/** A long document against the real process: others do not wait for it. */

afterAll(removeStateDirs);

/** 10,000 lines, more than 100 KB, every one of them a thing to check, to compare and to test. */
function longDocument(name: string): string {
  const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i));
  return [
    '# a document of ten thousand lines',
    'role developer',
    'role admin includes developer',
    'network internal = 172.16.0.0/12 via n1 dev br-internal',
    ...many(3_000, (i) => `service ${name}-${i} = 172.19.${i >> 8}.${i & 255} tcp/443, tcp/22`),
    ...many(4_000, (i) => `allow user${i}@example.com -> ${name}-${i % 3_000} tcp/22 until 2030-01-01`),
    ...many(1_996, (i) => `allow developer -> ${name}-${i} tcp/443`),
    ...many(1_000, (i) => `test role:developer -> ${name}-${i} tcp/443 allowed`),
    '',
  ].join('\n');
}

test('a document of 10,000 lines is put in force while devices enrol as before', async () => {
  const { stateDir, ownerToken } = await newInstallation();
  const master = await serving(stateDir);
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await master.send(method, path, ownerToken, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as T;
  };
  const publicKey = wireguardKey();
  const agentKey = (await credential()).x;
  await ask('POST', '/v1/nodes', { name: 'n1', publicKey, agentKey, endpoints: ['198.51.100.1:51820'] });
  const user = await ask<{ id: string }>('POST', '/v1/users', { email: 'ben@example.com', role: 'developer' });

  const redemption = async () => {
    const { code } = await ask<{ code: string }>('POST', `/v1/users/${user.id}/codes`, {});
    const keys = { publicKey: wireguardKey(), credentialKey: (await credential()).x };
    return { code, ...keys, deviceName: 'laptop', platform: 'linux' };
  };
  const enrolled: number[] = [];
  const redemptions = await Promise.all(Array.from({ length: 40 }, redemption));
  const enrolUntil = async (over: { now: boolean }) => {
    for (const one of redemptions) {
      if (over.now) return;
      const started = performance.now();
      const lease = await ask<EnrolmentLease>('POST', '/v1/enrolments', one);
      expect(lease.address).toStartWith('10.91.');
      enrolled.push(performance.now() - started);
      await Bun.sleep(20);
    }
  };

  const over = { now: false };
  const enrolling = enrolUntil(over);
  const put = async (document: string, revision: number) => {
    const started = performance.now();
    const response = await fetch(`${master.url}/v1/policy`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${ownerToken}`,
        'content-type': 'application/json',
        'if-match': `"policy-${revision}"`,
      },
      body: JSON.stringify({ document }),
      tls: { rejectUnauthorized: false },
    });
    const { revision: now, detail } = (await response.json()) as { revision: number; detail?: string };
    expect({ status: response.status, now, detail }).toEqual({ status: 200, now: revision + 1, detail: undefined });
    return performance.now() - started;
  };
  const took = [await put(longDocument('a'), 1), await put(longDocument('b'), 2)];
  const check = await ask<{ ok: boolean; diagnostics: unknown[] }>('POST', '/v1/policy/check', {
    document: 'nonsense\n'.repeat(10_000),
  });
  expect([check.ok, check.diagnostics.length]).toEqual([false, 10_000]);
  over.now = true;
  await enrolling;
  await master.stop();

  // However busy the machine is: had an enrolment waited for a document, it would have waited for most of its time.
  expect(Math.max(...took)).toBeLessThan(30_000);
  expect(enrolled.length).toBeGreaterThan(5);
  expect(Math.max(...enrolled)).toBeLessThan(Math.min(...took) / 3);
  if (process.env.POSTERN_SHOW_TIMES === '1')
    console.log({ took: took.map(Math.round), slowest: Math.max(...enrolled), enrolled: enrolled.length });
}, 120_000);
