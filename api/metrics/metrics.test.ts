import { afterAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import { type Family, parseExposition } from '#contract/fixture/exposition.ts';
import { addApiToken } from '../store/api-tokens.ts';
import { start, testMaster } from '../test-kit/master.ts';
import { serveMetrics } from './listener.ts';

const scrape = async (postern: Awaited<ReturnType<typeof testMaster>>) =>
  parseExposition(await postern.ask<string>(200, 'GET', '/metrics', postern.ownerToken));

function figure(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number | undefined {
  const [own = ''] = [name, name.replace(/_(?:count|sum|bucket)$/, '')].filter((family) => families.has(family));
  return families
    .get(own)
    ?.samples.find((sample) => sample.name === name && Bun.deepEquals(sample.labels, labels, true))?.value;
}

describe('the figures of the master', () => {
  test('are for those who may read, with a token for them', async () => {
    const postern = await testMaster();
    const { id } = await postern.addPerson('olga@example.com', 'auditor');
    const token = addApiToken(postern.store, id, start);
    expect((await postern.send('GET', '/metrics')).status).toBe(401);
    const answer = await postern.send('GET', '/metrics', token);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
  });

  test('count requests by the pattern of their path, and strangers’ paths as one', async () => {
    const postern = await testMaster();
    const { user } = await postern.enrol('ben@example.com');
    for (let i = 0; i < 3; i++) await postern.send('GET', `/v1/users/${user.id}`, postern.ownerToken);
    await postern.send('GET', `/v1/users/${user.id}`);
    for (let i = 0; i < 50; i++) await postern.send('GET', `/secret-${i}`);
    await postern.fetch('/healthz', { method: 'PROPFIND' });
    const families = await scrape(postern);
    const route = { method: 'GET', route: '/v1/users/:id' };
    const of = (labels: Record<string, string>) => figure(families, 'postern_http_requests_total', labels);
    expect(of({ ...route, status: '2xx' })).toBe(3);
    expect(of({ ...route, status: '4xx' })).toBe(1);
    expect(of({ method: 'GET', route: 'unknown', status: '4xx' })).toBe(50);
    expect(of({ method: 'other', route: 'unknown', status: '4xx' })).toBe(1);
    expect(figure(families, 'postern_http_request_duration_seconds_count', route)).toBe(4);
    expect(JSON.stringify([...families])).not.toContain('secret-');
  });

  test('count enrolments by outcome, and what the limits turned away', async () => {
    const postern = await testMaster({ limits: { failures: 2 } });
    await postern.enrol('ben@example.com');
    const { request } = await postern.newDevice();
    for (let i = 0; i < 3; i++)
      await postern.send('POST', '/v1/enrolments', undefined, { code: '7QK2M-9ZX4T-B6VAE-H3NPW-R8YC5', ...request });
    const families = await scrape(postern);
    const enrolments = Object.fromEntries(
      families
        .get('postern_enrolments_total')
        ?.samples.map(({ labels, value }) => [Object.values(labels).join(), value]) ?? [],
    );
    expect(enrolments['redeem,ok']).toBe(1);
    expect(enrolments['confirm,ok']).toBe(1);
    const refused = Object.entries(enrolments).filter(([outcome]) => !outcome.endsWith('ok'));
    expect(refused.reduce((sum, [, value]) => sum + value, 0)).toBe(3);
    const limited = figure(families, 'postern_http_problems_total', { code: 'too-many-requests' }) ?? 0;
    expect(enrolments['redeem,too-many-requests'] ?? 0).toBe(limited);
  });

  test('tell what is there, and forget nodes that are gone', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    await postern.addMachine('n2');
    await postern.enrol('ben@example.com');
    await postern.issue(postern.owner.id);
    await postern.ask(204, 'DELETE', '/v1/nodes/n2', postern.ownerToken);
    const leave = postern.master.fleet.join('n1', { send() {}, close() {} });
    const families = await scrape(postern);
    leave();
    const revision = figure(families, 'postern_revision') ?? 0;
    expect(revision).toBeGreaterThan(3);
    expect({
      enabled: figure(families, 'postern_users', { state: 'enabled' }),
      managed: figure(families, 'postern_devices', { kind: 'managed' }),
      codes: figure(families, 'postern_codes_open'),
      epoch: figure(families, 'postern_epoch'),
      lag: families.get('postern_node_revision_lag')?.samples,
      connected: families.get('postern_node_connected')?.samples.map(({ labels, value }) => [labels.node, value]),
      tokens: figure(families, 'postern_key_expiry_timestamp_seconds', { use: 'tokens' }),
      certificate: figure(families, 'postern_tls_certificate_expiry_timestamp_seconds'),
    }).toEqual({
      enabled: 2,
      managed: 1,
      codes: 1,
      epoch: 1,
      lag: [{ name: 'postern_node_revision_lag', labels: { node: 'n1' }, value: revision }],
      connected: [['n1', 1]],
      tokens: Date.parse('2036-01-01') / 1000,
      certificate: Date.parse('2036-01-01') / 1000,
    });
    expect(figure(families, 'postern_database_bytes')).toBeGreaterThan(10_000);
    expect(figure(families, 'postern_commit_duration_seconds_count')).toBeGreaterThan(5);
    expect(figure(families, 'postern_commit_acts_sum')).toBeGreaterThan(5);
  });

  test('tell of the process what is true', async () => {
    const postern = await testMaster();
    const cpu = async () => figure(await scrape(postern), 'process_cpu_seconds_total') ?? 0;
    const before = await cpu();
    for (const until = performance.now() + 250; performance.now() < until; );
    const families = await scrape(postern);
    expect((await cpu()) - before).toBeGreaterThan(0.01);
    expect(
      Math.abs((figure(families, 'process_resident_memory_bytes') ?? 0) / process.memoryUsage.rss() - 1),
    ).toBeLessThan(0.5);
    expect(figure(families, 'process_open_fds')).toBeGreaterThan(2);
    const started = figure(families, 'process_start_time_seconds') ?? 0;
    expect(Math.abs(started - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5);
    // The event loop is looked at every 50 ms, so that one look was late by nearly all of it.
    await Bun.sleep(120);
    expect(figure(await scrape(postern), 'postern_event_loop_delay_seconds', { quantile: '1' })).toBeGreaterThan(0);
  });
});

describe('the listener for figures', async () => {
  const postern = await testMaster();
  const listener = serveMetrics({ hostname: '127.0.0.1', port: 0 }, postern.master.metrics);
  afterAll(() => listener.stop());
  const ask = async (path: string, init: RequestInit = {}) => fetch(new URL(path, listener.url), init);

  test('shows figures without a token', async () => {
    const answer = await ask('/metrics');
    expect(answer.status).toBe(200);
    expect(figure(parseExposition(await answer.text()), 'postern_users', { state: 'enabled' })).toBe(1);
  });

  test.each([
    ['another path', '/v1/users', {}, 404],
    ['another method', '/metrics', { method: 'POST' }, 405],
    ['a name that a page in a browser gave this address', '/metrics', { headers: { host: 'evil.example.com' } }, 421],
  ])('refuses %s', async (_, path, init, status) => expect((await ask(path, init)).status).toBe(status));
});

describe('the page about figures', async () => {
  const page = readFileSync(join(import.meta.dir, '../../ops/docs/metrics.md'), 'utf8');
  const [own = ''] = page.split(/^## /m).filter((section) => section.startsWith('The master'));
  const told = [...own.matchAll(/^\| `([a-z_]+)` +\| (\w+) +\| ([^|]*?) *\| (.*?) *\|$/gm)].map(
    ([, name = '', type = '', labels = '', help = '']) => [name, type, labels.replaceAll('`', ''), help],
  );
  type Registered = MetricObjectWithValues<MetricValue<string>> & { labelNames?: string[] };
  const { registry } = (await testMaster()).master.metrics;
  const registered = registry.getMetricsAsArray().map((family) => {
    const { name, type, help, labelNames = [] } = family as unknown as Registered;
    return [name, `${type}`, labelNames.join(', '), help];
  });

  test('tells of every family what it is', () => {
    expect(told.sort()).toEqual(registered.sort());
  });
});
