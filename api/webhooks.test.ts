import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { Webhook as Verifier } from 'standardwebhooks';
import type { PageOf } from '#contract/lists.ts';
import type { Delivery, EventType, IssuedWebhook, TestResult, Webhook, WebhookPayload } from '#contract/webhook.ts';
import { watchPresence } from './fleet/presence.ts';
import { secretBoxOf } from './keys/secret-box.ts';
import { revokeDevice } from './store/devices.ts';
import { type TestMaster, testMaster } from './test-kit/master.ts';
import { certificateFor, type Receiver, receiverOf } from './test-kit/receiver.ts';
import { deliverWebhooks } from './webhooks/worker.ts';

/** Webhooks from the act to a real receiver behind TLS. */

let certificate: Awaited<ReturnType<typeof certificateFor>>;
const open: { stop(): unknown }[] = [];

beforeAll(async () => {
  certificate = await certificateFor('hooks.example.com');
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});
afterAll(() => certificate.remove());

async function world() {
  const postern = await testMaster({
    sender: {
      mayReceive: (address) => address === '127.0.0.1',
      authorities: [certificate.cert],
      resolve: async () => ['127.0.0.1'],
      timeoutMilliseconds: 2_000,
    },
  });
  const receiver = receiverOf(certificate);
  open.push(receiver);
  const url = `https://hooks.example.com:${receiver.port}/in`;
  const add = (events?: EventType[], to = url) =>
    postern.ask<IssuedWebhook>(201, 'POST', '/v1/webhooks', postern.ownerToken, {
      name: 'chat',
      url: to,
      ...(events === undefined ? {} : { events }),
    });
  const own = <T>(method: string, path: string, body?: unknown, status = 200) =>
    postern.ask<T>(status, method, path, postern.ownerToken, body);
  const work = () => {
    const worker = deliverWebhooks(postern.master);
    open.push(worker);
    return worker;
  };
  return { postern, receiver, url, add, own, work };
}

const payloads = (receiver: Receiver) => receiver.received.map(({ body }) => JSON.parse(body) as WebhookPayload);

async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await isDone()) return;
    await Bun.sleep(10);
  }
  throw new Error('it did not happen');
}

const deliveriesOf = async (own: <T>(method: string, path: string) => Promise<T>, { id }: Webhook) =>
  (await own<PageOf<Delivery>>('GET', `/v1/webhooks/${id}/deliveries?sort=createdAt`)).items;

describe('a webhook', () => {
  test('hears of what happens, in order, signed so that a library of the specification believes it', async () => {
    const { postern, receiver, add, own, work } = await world();
    const webhook = await add();
    work();
    const { user, lease } = await postern.enrol('ben@example.com');
    await own('PATCH', `/v1/users/${user.id}`, { disabled: true });
    await own('DELETE', `/v1/devices/${lease.id}`);
    await receiver.got(4);
    expect(payloads(receiver).map(({ type, data }) => [type, data.subject])).toEqual([
      ['user.added', user.id],
      ['device.joined', lease.id],
      ['user.disabled', user.id],
      ['device.revoked', lease.id],
    ]);
    expect(payloads(receiver)[3]).toMatchObject({
      timestamp: postern.clock.now.toISOString(),
      data: { act: 'device.revoke', actor: expect.stringContaining('user ana@example.com'), email: 'ben@example.com' },
    });
    for (const { headers, body } of receiver.received) {
      // The clock of the test master is not that of today, which the library holds timestamps against.
      expect(headers['webhook-timestamp']).toBe(String(postern.clock.now.getTime() / 1000));
      const sign = new Verifier(webhook.secret).sign(headers['webhook-id'] ?? '', postern.clock.now, body);
      expect(headers['webhook-signature']).toBe(sign);
    }
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(4);
    await until(async () => (await deliveriesOf(own, webhook)).every(({ state }) => state === 'delivered'));
    expect(await own<Webhook>('GET', `/v1/webhooks/${webhook.id}`)).toMatchObject({ waiting: 0, failures: 0 });
  });

  test('hears of nothing else than it asked for', async () => {
    const { postern, receiver, add, own, work } = await world();
    const joins = await add(['device.joined']);
    work();
    const { lease } = await postern.enrol('ben@example.com');
    await own('DELETE', `/v1/devices/${lease.id}`);
    await receiver.got(1);
    await until(async () => (await deliveriesOf(own, joins)).every(({ state }) => state === 'delivered'));
    expect(payloads(receiver).map(({ type }) => type)).toEqual(['device.joined']);
  });

  test('is told in the transaction of the act: what is undone is not told', async () => {
    const { postern, add, own } = await world();
    const webhook = await add();
    const { lease } = await postern.enrol('ben@example.com');
    const before = (await deliveriesOf(own, webhook)).length;
    const undo = () =>
      postern.store.write(() => {
        revokeDevice(postern.store, lease.id, 'test', 'device.revoke', postern.clock.now);
        throw new Error('undone');
      });
    expect(undo).toThrow('undone');
    expect(await deliveriesOf(own, webhook)).toHaveLength(before);
  });

  test('is tried again, later and later, and the order stays', async () => {
    const { postern, receiver, add, own, work } = await world();
    let isBroken = true;
    receiver.answer(() => new Response(null, { status: isBroken ? 500 : 204 }));
    const webhook = await add(['user.added']);
    const failuresNow = async () => (await own<Webhook>('GET', `/v1/webhooks/${webhook.id}`)).failures;
    await postern.addPerson('a@example.com');
    await postern.addPerson('b@example.com');
    work();
    const pauses: number[] = [];
    for (let failures = 1; failures <= 4; failures++) {
      await until(async () => (await failuresNow()) === failures);
      const { nextAttemptAt } = await own<Webhook>('GET', `/v1/webhooks/${webhook.id}`);
      const pause = Date.parse(nextAttemptAt ?? '') - postern.clock.now.getTime();
      pauses.push(pause);
      if (failures === 4) isBroken = false;
      postern.wait(pause / 1000 + 0.001);
    }
    for (const [index, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(5_000 * 2 ** index * 0.8);
      expect(pause).toBeLessThanOrEqual(5_000 * 2 ** index * 1.2);
    }
    await until(async () => (await deliveriesOf(own, webhook)).every(({ state }) => state === 'delivered'));
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect([new Set(ids.slice(0, 5)).size, ids.length, new Set(ids).size]).toEqual([1, 6, 2]);
    expect(payloads(receiver).map(({ data }) => data.email)).toEqual([
      ...Array(5).fill('a@example.com'),
      'b@example.com',
    ]);
    const [first, second] = await deliveriesOf(own, webhook);
    expect([first?.attempts, second?.attempts, await failuresNow()]).toEqual([5, 1, 0]);
  });

  test('is given up after a day, and that is seen', async () => {
    const { postern, receiver, add, own, work } = await world();
    receiver.answer(() => new Response(null, { status: 500 }));
    const webhook = await add(['user.added']);
    await postern.addPerson('a@example.com');
    postern.wait(86_401);
    await postern.addPerson('b@example.com');
    work();
    await until(async () => (await deliveriesOf(own, webhook))[0]?.state === 'dead');
    expect(await deliveriesOf(own, webhook)).toMatchObject([
      { state: 'dead', problem: 'status', lastStatus: 500, attempts: 1 },
      { state: 'waiting', attempts: 0 },
    ]);
    const figures = await own<string>('GET', '/metrics');
    expect(figures).toContain('postern_webhook_dead_total 1');
    expect(figures).toContain('postern_webhook_attempts_total{result="failed"} 1');
    expect(figures).toContain('postern_webhook_waiting 1');
  });

  test('whose receiver is gone is disabled, and enabled again is heard', async () => {
    const { postern, receiver, add, own, work } = await world();
    receiver.answer(() => new Response(null, { status: 410 }));
    const webhook = await add(['user.added']);
    await postern.addPerson('a@example.com');
    work();
    await until(async () => !(await own<Webhook>('GET', `/v1/webhooks/${webhook.id}`)).enabled);
    expect(await own<Webhook>('GET', `/v1/webhooks/${webhook.id}`)).toMatchObject({ disabledBecause: 'gone' });
    await postern.addPerson('b@example.com');
    expect(await deliveriesOf(own, webhook)).toMatchObject([{ state: 'dead', lastStatus: 410 }]);
    receiver.answer(() => new Response());
    await own('PATCH', `/v1/webhooks/${webhook.id}`, { enabled: true });
    await postern.addPerson('c@example.com');
    await receiver.got(2);
    expect(payloads(receiver).at(-1)?.data).toMatchObject({ email: 'c@example.com' });
  });

  test('holds up neither requests nor other webhooks while its receiver does not answer', async () => {
    const { postern, receiver, add, work } = await world();
    const slow = receiverOf(certificate);
    open.push(slow);
    slow.answer(() => new Promise(() => {}));
    await add(['user.added'], `https://hooks.example.com:${slow.port}/`);
    await add(['user.added']);
    work();
    for (const name of ['a', 'b', 'c']) await postern.addPerson(`${name}@example.com`);
    await receiver.got(3);
    expect(slow.received).toHaveLength(1);
  });

  test('signs with both secrets for a day after a rotation', async () => {
    const { postern, receiver, add, own, work } = await world();
    const webhook = await add(['user.added']);
    const { secret, secretRotatedUntil } = await own<IssuedWebhook>(
      'POST',
      `/v1/webhooks/${webhook.id}/rotate-secret`,
      undefined,
      201,
    );
    expect(secret).not.toBe(webhook.secret);
    expect(Date.parse(secretRotatedUntil ?? '') - postern.clock.now.getTime()).toBe(86_400_000);
    work();
    await postern.addPerson('a@example.com');
    await receiver.got(1);
    postern.wait(86_401);
    await postern.addPerson('b@example.com');
    await receiver.got(2);
    const signed = receiver.received.map(({ headers, body }) => {
      const at = new Date(Number(headers['webhook-timestamp']) * 1000);
      const known = [webhook.secret, secret].map((one) =>
        new Verifier(one).sign(headers['webhook-id'] ?? '', at, body),
      );
      return (headers['webhook-signature'] ?? '').split(' ').map((one) => known.indexOf(one));
    });
    expect(signed).toEqual([[1, 0], [1]]);
  });

  test('says so when its secret cannot be read any more, and is well again with another', async () => {
    const { postern, receiver, add, own, work } = await world();
    const webhook = await add(['user.added']);
    postern.store.write(() => {
      const sealed = secretBoxOf(new Uint8Array(32).fill(1)).seal('{}', 'webhook');
      postern.store.db.query('UPDATE webhooks SET sealed = ?').run(sealed);
    });
    await postern.addPerson('a@example.com');
    work();
    await until(async () => (await deliveriesOf(own, webhook))[0]?.problem === 'secret-unreadable');
    await own('POST', `/v1/webhooks/${webhook.id}/rotate-secret`, undefined, 201);
    postern.wait(10);
    await receiver.got(1);
  });

  test('is tried at once, and says what became of it', async () => {
    const { receiver, add, own } = await world();
    const webhook = await add(['user.added']);
    const test = () => own<TestResult>('POST', `/v1/webhooks/${webhook.id}/test`);
    expect(await test()).toEqual({ delivered: true, status: 204, problem: null });
    expect(payloads(receiver)[0]).toMatchObject({ type: 'webhook.test', data: { subject: webhook.id } });
    receiver.answer(() => new Response(null, { status: 302, headers: { location: 'https://127.0.0.1/' } }));
    expect(await test()).toEqual({ delivered: false, status: 302, problem: 'status' });
    await receiver.stop();
    expect(await test()).toEqual({ delivered: false, status: null, problem: 'unreachable' });
    expect(await deliveriesOf(own, webhook)).toEqual([]);
  });
});

describe('the routes of webhooks', () => {
  test('show a secret once, and never store it', async () => {
    const { postern, add, own } = await world();
    const { secret, ...rest } = await add();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await own<Webhook>('GET', `/v1/webhooks/${rest.id}`)).toEqual(rest);
    const list = await own<PageOf<Webhook>>('GET', '/v1/webhooks');
    expect(list).toEqual({ items: [rest], nextCursor: null, total: 1 });
    const dump = Buffer.from(postern.store.db.serialize()).toString('latin1');
    expect(dump).toContain(rest.id);
    expect(dump).not.toContain(secret.slice(6));
    const audited = await own<{ items: unknown[] }>('GET', '/v1/audit?act=webhook');
    expect(JSON.stringify(audited)).toContain('webhook.add');
    expect(JSON.stringify(audited)).not.toContain('/in');
  });

  test.each([
    ['no https', { url: 'http://hooks.example.com/' }, 'url'],
    ['another scheme', { url: 'file:///etc/passwd' }, 'url'],
    ['no URL', { url: 'hooks' }, 'url'],
    ['a user name', { url: 'https://a:b@hooks.example.com/' }, 'url'],
    ['a part', { url: 'https://hooks.example.com/#x' }, 'url'],
    ['a private address', { url: 'https://10.0.0.1/' }, 'url'],
    ['loopback in other words', { url: 'https://0x7f.2/' }, 'url'],
    ['loopback in IPv6', { url: 'https://[::1]/' }, 'url'],
    ['no event', { events: [] }, 'events'],
    ['an event twice', { events: ['device.joined', 'device.joined'] }, 'events'],
    ['an event that is none', { events: ['device.exploded'] }, 'events.0'],
    ['an unknown field', { secret: 'x' }, ''],
  ])('refuse %s', async (_, change, path) => {
    const { postern, url } = await world();
    const body = { name: 'chat', url, ...change };
    const answer = await postern.send('POST', '/v1/webhooks', postern.ownerToken, body);
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
    expect(answer.body.errors[0].path).toBe(path);
  });

  test('take so many and no more', async () => {
    const { postern, url, add } = await world();
    for (let i = 0; i < 32; i++) await add();
    const answer = await postern.send('POST', '/v1/webhooks', postern.ownerToken, { name: 'chat', url });
    expect(answer).toMatchObject({ status: 409, body: { code: 'limit-reached' } });
  });

  test('change what is named, unless somebody else was quicker', async () => {
    const { postern, add, own } = await world();
    const { id } = await add(['device.joined']);
    const path = `/v1/webhooks/${id}`;
    const { headers } = await postern.send('GET', path, postern.ownerToken);
    expect(await own<Webhook>('PATCH', path, { events: null, name: 'pager' })).toMatchObject({
      events: null,
      name: 'pager',
    });
    const late = await postern.fetch(path, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${postern.ownerToken}`, 'if-match': headers.get('etag') ?? '' },
    });
    expect(late.status).toBe(412);
    await own('DELETE', path, undefined, 204);
    expect((await postern.send('GET', path, postern.ownerToken)).status).toBe(404);
  });

  test('make one for one Idempotency-Key, with the same secret', async () => {
    const { postern, url, own } = await world();
    const send = async () => {
      const response = await postern.fetch('/v1/webhooks', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${postern.ownerToken}`,
          'content-type': 'application/json',
          'idempotency-key': 'one',
        },
        body: JSON.stringify({ name: 'chat', url }),
      });
      return response.text();
    };
    expect(await send()).toBe(await send());
    expect((await own<PageOf<Webhook>>('GET', '/v1/webhooks')).total).toBe(1);
  });
});

describe('the presence of a node', () => {
  const typesOf = async (own: <T>(method: string, path: string) => Promise<T>, webhook: Webhook) =>
    (await deliveriesOf(own, webhook)).map(({ type }) => type);

  async function presence(): Promise<{
    postern: TestMaster;
    told: () => Promise<string[]>;
    look: () => void;
    join: () => () => void;
  }> {
    const { postern, add, own } = await world();
    await postern.addMachine('n1');
    const webhook = await add(['node.connected', 'node.disconnected']);
    const watch = watchPresence(postern.master);
    open.push(watch);
    return {
      postern,
      told: () => typesOf(own, webhook),
      look: () => watch.look(),
      join: () => postern.master.fleet.join('n1', { send() {}, close() {} }),
    };
  }

  test('is told when it comes and when it stays away, not when it changes its channel', async () => {
    const { postern, told, look, join } = await presence();
    look();
    expect(await told()).toEqual([]);
    const leave = join();
    look();
    look();
    expect(await told()).toEqual(['node.connected']);
    leave();
    postern.wait(19);
    look();
    const again = join();
    look();
    again();
    postern.wait(19);
    look();
    expect(await told()).toEqual(['node.connected']);
    postern.wait(2);
    look();
    look();
    expect(await told()).toEqual(['node.connected', 'node.disconnected']);
  });

  test('is not told anew by a master that was restarted', async () => {
    const { postern, told, look, join } = await presence();
    const leave = join();
    look();
    leave();
    const next = watchPresence(postern.master);
    open.push(next);
    postern.wait(10);
    next.look();
    join();
    next.look();
    expect(await told()).toEqual(['node.connected']);
  });
});
