import { afterAll, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageOf } from '#contract/lists.ts';
import type { Delivery, IssuedWebhook, TestResult } from '#contract/webhook.ts';
import { masterPaths } from './state/layout.ts';
import { newInstallation, removeStateDirs, run, serveArguments, serving, start } from './test-kit/processes.ts';
import { certificateFor, receiverOf } from './test-kit/receiver.ts';

/** The real program, which is killed while it delivers. */

setDefaultTimeout(60_000);
afterAll(removeStateDirs);

test('an event that was accepted is delivered, whatever happens to the master; nothing goes to a closed address', async () => {
  const { stateDir, ownerToken } = await newInstallation();
  const certificate = await certificateFor('localhost');
  const receiver = receiverOf(certificate);
  const open = ['--webhook-allow', '127.0.0.0/8', '--webhook-ca', certificate.file];
  const startWith = (more: readonly string[]) =>
    serving(stateDir, undefined, start([...serveArguments(stateDir, '127.0.0.1:0'), ...more]));
  const add = async (master: Awaited<ReturnType<typeof serving>>, email: string) =>
    expect((await master.send('POST', '/v1/users', ownerToken, { email, role: 'developer' })).status).toBe(201);

  const closed = await startWith(['--webhook-ca', certificate.file]);
  const url = `https://localhost:${receiver.port}/in`;
  const made = await closed.send('POST', '/v1/webhooks', ownerToken, { name: 'pager', url, events: ['user.added'] });
  const { id, secret } = made.body as IssuedWebhook;
  const tried = await closed.send('POST', `/v1/webhooks/${id}/test`, ownerToken);
  expect(tried.body as TestResult).toEqual({ delivered: false, status: null, problem: 'address-refused' });
  await closed.stop();
  expect(receiver.received).toEqual([]);

  receiver.answer(() => new Promise(() => {}));
  const first = await startWith(open);
  for (const name of ['a', 'b', 'c']) await add(first, `${name}@example.com`);
  await receiver.got(1);
  const killed = await first.end('SIGKILL');

  receiver.answer(() => new Response());
  const second = await startWith(open);
  await add(second, 'd@example.com');
  await receiver.got(5);
  const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
  expect(ids[1]).toBe(ids[0]);
  expect(receiver.received.slice(1).map(({ body }) => JSON.parse(body).data.email)).toEqual(
    ['a', 'b', 'c', 'd'].map((name) => `${name}@example.com`),
  );
  const isDone = async () => {
    const { body } = await second.send('GET', `/v1/webhooks/${id}/deliveries`, ownerToken);
    return (body as PageOf<Delivery>).items.every(({ state }) => state === 'delivered');
  };
  for (let tries = 0; tries < 100 && !(await isDone()); tries++) await Bun.sleep(20);
  expect(await isDone()).toBe(true);

  const { log } = await second.stop();
  const paths = masterPaths(stateDir);
  for (const text of [killed.log, log, readFileSync(paths.database, 'latin1')])
    expect(text).not.toContain(secret.slice('whsec_'.length));
  receiver.stop();
  certificate.remove();
});

test.each([
  ['everything', '0.0.0.0/0'],
  ['no subnet', 'office'],
])('%s is not opened for webhooks', async (_, subnet) => {
  const { status, stderr } = await run(['serve', '--state-dir', join('/nonexistent'), '--webhook-allow', subnet]);
  expect([status, stderr]).toEqual([1, expect.stringContaining('--webhook-allow')]);
});
