import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outage } from '#contract/outage.ts';
import { agentPort } from '#contract/probe.ts';
import { until } from '../fixture/hosts.ts';
import { openOutages } from './outages.ts';
import { listenTcp } from './tunnel-http.ts';

const outage: Outage = { at: '2026-11-01T00:00:00.000Z', from: 'n1', to: 'n2', cause: 'silent', gapMilliseconds: 480 };
const body = (outages: unknown) => JSON.stringify({ outages });

describe('a device that tells what it has seen', () => {
  const [node, device, busy] = ['127.0.0.61', '127.0.0.62', '127.0.0.63'];
  const taken: Outage[] = [];
  let server: Server;
  beforeAll(async () => {
    server = await listenTcp(node, {
      mayAsk: (asker) => asker !== busy,
      text: () => undefined,
      takeOutages(asker, outages) {
        if (asker !== device) return false;
        taken.push(...outages);
        return true;
      },
    });
  });
  afterAll(() => server.close());

  const tell = (text: string, { from = device, method = 'POST', type = 'application/json' } = {}) =>
    new Promise<number | undefined>((resolve, reject) => {
      const options = { host: node, port: agentPort, path: '/v1/outages', method, localAddress: from, agent: false };
      const asking = request({ ...options, headers: { 'content-type': type } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asking.on('error', reject);
      asking.end(text);
    });

  test('is heard', async () => {
    expect(await tell(body([outage]))).toBe(204);
    expect(taken).toEqual([outage]);
  });

  test.each([
    ['nothing', body([]), {}, 422],
    ['no JSON', 'hello', {}, 422],
    ['more than an outage', body([{ ...outage, publicKey: 'BEN' }]), {}, 422],
    ['a cause that is none', body([{ ...outage, cause: 'boredom' }]), {}, 422],
    ['too much', body([{ ...outage, from: 'x'.repeat(40_000) }]), {}, 413],
    ['another type', body([outage]), { type: 'text/plain' }, 415],
    ['another method', '', { method: 'PUT' }, 405],
    ['from no device', body([outage]), { from: '127.0.0.64' }, 404],
    ['too often', body([outage]), { from: busy }, 429],
  ])('%s is refused', async (_, text, how, status) => {
    const before = taken.length;
    expect(await tell(text, how)).toBe(status);
    expect(taken.length).toBe(before);
  });
});

test('outages wait for the master over a restart, each once, and not without end', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-outages-'));
  const path = join(directory, 'outages.json');
  const log: string[] = [];
  const open = () => openOutages(path, (line) => log.push(line));
  const store = await open();
  const seen = (minute: number) => ({ ...outage, publicKey: Buffer.alloc(32, 1).toString('base64'), at: at(minute) });
  store.add([seen(1), seen(2)]);
  store.add([seen(2), seen(3)]);
  expect(store.waiting().length).toBe(3);
  await until('it is written', async () => (await open()).waiting().length === 3);
  store.delivered([seen(1), seen(2)]);
  expect(store.waiting()).toEqual([seen(3)]);
  store.add(Array.from({ length: 1_100 }, (_, minute) => seen(100 + minute)));
  expect(store.waiting().length).toBe(1_000);
  expect(store.waiting().at(-1)).toEqual(seen(1_199));
  await until('it is written', async () => (await open()).waiting().length === 1_000);
  expect(log).toEqual([]);
  await rm(directory, { recursive: true });
});

const at = (minute: number) => new Date(Date.UTC(2026, 10, 1, 0, minute)).toISOString();
