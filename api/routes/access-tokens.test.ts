import { describe, expect, test } from 'bun:test';
import { assertion, credential } from '../test-kit/keys.ts';
import { testMaster } from '../test-kit/master.ts';

const postern = await testMaster();
const n1 = await postern.addMachine('n1');
const ben = await postern.enrol('ben@example.com');
const other = await credential();
const now = postern.clock.now;
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);

const exchange = (kind: string, signed: string) =>
  postern.send('POST', `/v1/${kind}/tokens`, undefined, { assertion: signed });

describe('an assertion', () => {
  test('is good for a token of ten minutes', async () => {
    const answer = await exchange('agent', await assertion('agent', 'n1', n1.key, now));
    expect(answer).toMatchObject({ status: 200, body: { expiresAt: later(600).toISOString() } });
  });

  test('works once', async () => {
    const signed = await assertion('device', ben.lease.id, ben.device.key, now);
    expect((await exchange('device', signed)).status).toBe(200);
    expect(await exchange('device', signed)).toMatchObject({ status: 401, body: { code: 'token-invalid' } });
  });

  test('may come from a clock that is a little off', async () => {
    for (const seconds of [-50, 50])
      expect((await exchange('agent', await assertion('agent', 'n1', n1.key, later(seconds)))).status).toBe(200);
  });

  test.each([
    ['by another key', assertion('agent', 'n1', other, now)],
    ['by nobody we know', assertion('agent', 'n9', n1.key, now)],
    ['by a device, as a node', assertion('agent', ben.lease.id, ben.device.key, now)],
    ['for another audience', assertion('agent', 'n1', n1.key, now, { audience: 'elsewhere' })],
    ['of another type', assertion('agent', 'n1', n1.key, now, { typ: 'JWT' })],
    ['of a device type', assertion('device', 'n1', n1.key, now)],
    ['that lasts an hour', assertion('agent', 'n1', n1.key, now, { seconds: 3600 })],
    ['of an hour ago', assertion('agent', 'n1', n1.key, later(-3600))],
    ['of an hour from now', assertion('agent', 'n1', n1.key, later(3600))],
    ['with a long id', assertion('agent', 'n1', n1.key, now, { jti: 'x'.repeat(200) })],
    ['that is garbage', Promise.resolve('a.b.c')],
    ['that is empty', Promise.resolve('')],
    ['with an injection for a name', assertion('agent', "n1' OR '1'='1", n1.key, now)],
  ])('%s is refused', async (_, signed) =>
    expect(await exchange('agent', await signed)).toMatchObject({ status: 401, body: { code: 'token-invalid' } }),
  );

  test('of a device whose user is disabled is refused', async () => {
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: true });
    const signed = await assertion('device', ben.lease.id, ben.device.key, now);
    expect(await exchange('device', signed)).toMatchObject({ status: 403, body: { code: 'permission-denied' } });
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: false });
  });
});

test('a device whose key is no point on the curve gets no token, and breaks nothing', async () => {
  const { code } = await postern.issue(ben.user.id);
  const device = await postern.newDevice();
  const request = { ...device.request, credentialKey: `${'B'.repeat(42)}A` };
  const lease = await postern.ask<{ id: string; token: string; address: string }>(
    201,
    'POST',
    '/v1/enrolments',
    undefined,
    { code, ...request },
  );
  await postern.ask(200, 'PUT', `/v1/enrolments/${lease.id}`, lease.token, {
    publicKey: request.publicKey,
    address: lease.address,
  });
  const signed = await assertion('device', lease.id, device.key, now);
  expect((await exchange('device', signed)).status).toBe(401);
});

test('a device leaves by itself', async () => {
  const token = await postern.tokenFor('device', ben.lease.id, ben.device.key);
  expect((await postern.send('DELETE', '/v1/device', token)).status).toBe(204);
  expect((await postern.send('DELETE', '/v1/device', token)).status).toBe(401);
  const signed = await assertion('device', ben.lease.id, ben.device.key, now);
  expect((await exchange('device', signed)).status).toBe(401);
});
