import { describe, expect, test } from 'bun:test';
import { addApiToken } from './store/api-tokens.ts';
import { revokeDevice } from './store/devices.ts';
import { start, testMaster } from './test-kit/master.ts';

/** What depends on more than the route: on the request's content, on whose thing it is, and on what happens meanwhile. */

const postern = await testMaster();
const { clock } = postern;
const n1 = await postern.addMachine('n1');
const ben = await postern.enrol('ben@example.com');
const operator = await postern.addPerson('oz@example.com', 'operator');
const tokenOf = (user: { id: string }) => addApiToken(postern.store, user.id, start);
const tokens = {
  agent: await postern.tokenFor('agent', 'n1', n1.key),
  device: await postern.tokenFor('device', ben.lease.id, ben.device.key),
};

describe('permissions', () => {
  test.each([
    ['make an owner', 'POST', '/v1/users', { email: 'x@example.com', role: 'admin', permission: 'owner' }],
    ['make an auditor', 'POST', '/v1/users', { email: 'x@example.com', role: 'admin', permission: 'auditor' }],
    ['raise itself', 'PATCH', `/v1/users/${operator.id}`, { permission: 'owner' }],
    ['raise another', 'PATCH', `/v1/users/${ben.user.id}`, { permission: 'operator' }],
    ['disable an owner', 'PATCH', `/v1/users/${postern.owner.id}`, { disabled: true }],
    ['lower an owner', 'PATCH', `/v1/users/${postern.owner.id}`, { permission: 'none' }],
    ['make an owner by e-mail', 'PUT', '/v1/users/by-email/x@example.com', { role: 'admin', permission: 'owner' }],
    ['disable an owner by e-mail', 'PUT', '/v1/users/by-email/ana@example.com', { role: 'admin', disabled: true }],
    ['remove an owner', 'DELETE', `/v1/users/${postern.owner.id}`, undefined],
  ])('an operator does not %s', async (_, method, path, change) => {
    expect(await postern.send(method, path, tokenOf(operator), change)).toMatchObject({
      status: 403,
      body: { code: 'permission-denied' },
    });
  });

  test('what a demotion takes is gone at the next request', async () => {
    const token = tokenOf(operator);
    expect((await postern.send('GET', '/v1/users', token)).status).toBe(200);
    await postern.ask(200, 'PATCH', `/v1/users/${operator.id}`, postern.ownerToken, { permission: 'none' });
    expect((await postern.send('GET', '/v1/users', token)).status).toBe(403);
  });
});

describe('a token dies with its bearer', () => {
  test('also while the request is still being sent', async () => {
    const user = await postern.addPerson('slow@example.com', 'operator');
    const token = tokenOf(user);
    const demoted = Promise.withResolvers<void>();
    const slow = new ReadableStream({
      async pull(controller) {
        await demoted.promise;
        controller.enqueue(new TextEncoder().encode('{"email":"late@example.com","role":"developer"}'));
        controller.close();
      },
    });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = postern.fetch('/v1/users', { method: 'POST', headers, body: slow });
    await Bun.sleep(5);
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { permission: 'none' });
    demoted.resolve();
    expect((await answer).status).toBe(403);
  });

  test('when a device is revoked', async () => {
    expect((await postern.send('GET', '/v1/device/bundle', tokens.device)).status).toBe(200);
    revokeDevice(postern.store, ben.lease.id, 'test', 'device.revoke', clock.now);
    expect((await postern.send('GET', '/v1/device/bundle', tokens.device)).status).toBe(401);
  });

  test('when a node is removed, and does not come back with its name', async () => {
    expect((await postern.send('GET', '/v1/agent/snapshot', tokens.agent)).status).toBe(200);
    await postern.ask(204, 'DELETE', '/v1/nodes/n1', postern.ownerToken);
    expect((await postern.send('GET', '/v1/agent/snapshot', tokens.agent)).status).toBe(401);
    await postern.addMachine('n1');
    expect((await postern.send('GET', '/v1/agent/snapshot', tokens.agent)).status).toBe(401);
  });
});
