import { afterAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExposition } from '#contract/fixture/exposition.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { parseLoopback } from '../formats/loopback.ts';
import type { PassReport } from '../reconcile.ts';
import { type Figures, newFigures, serveFigures } from './figures.ts';

const now = new Date('2026-12-01T08:00:00.000Z');
const secondsAgo = (seconds: number) => now.getTime() / 1000 - seconds;

const peer = (publicKey: string, receivedBytes: number, sentBytes: number, latestHandshake = 0): ObservedPeer => ({
  publicKey,
  endpoint: undefined,
  allowedIps: [],
  latestHandshake,
  receivedBytes,
  sentBytes,
  persistentKeepaliveSeconds: 0,
});
const pass = (change: Partial<PassReport> = {}): PassReport => ({
  applied: { epoch: 2, revision: 7 },
  drift: [],
  problem: undefined,
  wireguard: undefined,
  isVerified: true,
  ...change,
});
const seeing = (...peers: ObservedPeer[]) => pass({ wireguard: { publicKey: 'k', listenPort: 51_820, peers } });

async function told(figures: Figures): Promise<(name: string, labels?: Record<string, string>) => number | undefined> {
  const families = parseExposition(await figures.registry.metrics());
  const samples = [...families.values()].flatMap((family) => family.samples);
  return (name, labels = {}) =>
    samples.find((sample) => sample.name === `postern_agent_${name}` && Bun.deepEquals(sample.labels, labels, true))
      ?.value;
}

describe('the figures of a node', () => {
  test('say that it is closed until it is not', async () => {
    const figures = newFigures(() => now);
    expect([(await told(figures))('closed'), figures.unwell()]).toEqual([1, ['closed']]);
    figures.passed(pass());
    const open = await told(figures);
    expect([open('closed'), open('applied_epoch'), open('applied_revision'), open('problem')]).toEqual([0, 2, 7, 0]);
    expect(figures.unwell()).toEqual([]);
    figures.passed(pass({ problem: 'no interface br0' }));
    expect([(await told(figures))('problem'), figures.unwell()]).toEqual([1, ['problem']]);
    figures.passed(pass({ applied: undefined }));
    const again = await told(figures);
    expect([again('closed'), again('applied_revision'), figures.unwell()]).toEqual([1, 0, ['closed']]);
  });

  test('count traffic on, whatever becomes of peers and interface', async () => {
    const figures = newFigures(() => now);
    figures.passed(seeing(peer('a', 100, 10), peer('b', 50, 5)));
    figures.passed(seeing(peer('a', 150, 30)));
    figures.passed(seeing(peer('a', 20, 2), peer('b', 7, 1)));
    figures.passed(pass());
    const of = await told(figures);
    expect([of('received_bytes_total'), of('sent_bytes_total')]).toEqual([100 + 50 + 50 + 20 + 7, 10 + 5 + 20 + 2 + 1]);
  });

  test('tell peers with a session from those without', async () => {
    const figures = newFigures(() => now);
    figures.passed(seeing(peer('a', 0, 0, secondsAgo(10)), peer('b', 0, 0, secondsAgo(181)), peer('c', 0, 0)));
    const of = await told(figures);
    expect([of('peers'), of('peers_online')]).toEqual([3, 1]);
  });

  test('count what was repaired, probes and passes', async () => {
    const figures = newFigures(() => now);
    figures.passed(pass({ drift: ['a', 'b'] }));
    figures.passed(pass({ drift: ['c'] }));
    figures.probed();
    figures.looped(0.2, true);
    figures.looped(0.3, false);
    figures.masterIs(true);
    figures.holds({ issuedAt: now.toISOString() } as Snapshot);
    const of = await told(figures);
    expect({
      repaired: of('drift_repaired_total'),
      probes: of('probes_total'),
      done: of('pass_duration_seconds_count', { result: 'done' }),
      failed: of('pass_duration_seconds_sum', { result: 'failed' }),
      reachable: of('master_reachable'),
      issued: of('snapshot_issued_timestamp_seconds'),
    }).toEqual({ repaired: 3, probes: 1, done: 1, failed: 0.3, reachable: 1, issued: now.getTime() / 1000 });
  });
});

describe('the listener of a node', () => {
  const figures = newFigures(() => now);
  const listener = serveFigures({ hostname: '127.0.0.1', port: 0 }, figures);
  afterAll(() => listener.stop());
  const ask = (path: string, init: RequestInit = {}) => fetch(new URL(path, listener.url), init);

  test('shows figures', async () => {
    const answer = await ask('/metrics');
    expect(answer.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
    expect(parseExposition(await answer.text()).has('postern_agent_closed')).toBe(true);
  });

  test('shows health', async () => {
    expect((await ask('/healthz')).status).toBe(503);
    expect(await (await ask('/healthz')).json()).toEqual({ status: 'unwell', reasons: ['closed'] });
    figures.passed(pass());
    expect((await ask('/healthz')).status).toBe(200);
    figures.stands({ healthy: false, vrrp: 'FAULT', vip: false });
    expect(await (await ask('/healthz')).json()).toEqual({ status: 'unwell', reasons: ['unhealthy'] });
    figures.stands({ healthy: true, vrrp: 'MASTER', vip: true });
    expect((await ask('/healthz')).status).toBe(200);
    const shown = await (await ask('/metrics')).text();
    expect(shown).toContain('postern_agent_active 1\n');
    expect(shown).toContain('postern_agent_active_changes_total 1\n');
  });

  test.each([
    ['another path', '/', {}, 404],
    ['another method', '/metrics', { method: 'POST' }, 405],
    ['a name that a page in a browser gave this address', '/metrics', { headers: { host: 'evil.example.com' } }, 421],
  ])('refuses %s', async (_, path, init, status) => expect((await ask(path, init)).status).toBe(status));

  test.each([
    ['127.0.0.1:9586', true],
    ['[::1]:9586', true],
    ['localhost:0', true],
    ['0.0.0.0:9586', false],
    ['[::]:9586', false],
    ['10.91.64.1:9586', false],
    ['127.0.0.1', false],
    ['127.0.0.1:70000', false],
    ['127.example.com:9586', false],
  ])('%s: %p', (text, isLoopback) => expect(parseLoopback(text) !== undefined).toBe(isLoopback));
});

test('the page about figures tells of every family what it is', () => {
  const page = readFileSync(join(import.meta.dir, '../../ops/docs/metrics.md'), 'utf8');
  const [own = ''] = page.split(/^## /m).filter((section) => section.startsWith('The agent'));
  const rows = [...own.matchAll(/^\| `([a-z_]+)` +\| (\w+) +\| ([^|]*?) *\| (.*?) *\|$/gm)].map(
    ([, name = '', type = '', labels = '', help = '']) => [name, type, labels.replaceAll('`', ''), help],
  );
  const registered = newFigures(() => now)
    .registry.getMetricsAsArray()
    .map((family) => {
      const { name, type, help, labelNames = [] } = family as typeof family & { labelNames?: string[] };
      return [name, `${type}`, labelNames.join(', '), help];
    });
  expect(rows.sort()).toEqual(registered.sort());
});
