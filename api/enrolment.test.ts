import { describe, expect, test } from 'bun:test';
import { codeFromBytes } from '#contract/code.ts';
import type { EnrolmentLease, EnrolmentResult } from '#contract/enrolment.ts';
import { sha256Hex } from './formats/hash.ts';
import { countAudited } from './store/audit.ts';
import { wireguardKey } from './test-kit/keys.ts';
import { type TestMaster, testMaster } from './test-kit/master.ts';

type Device = Awaited<ReturnType<TestMaster['newDevice']>>;

/** A user with an open code, and a device that may redeem it. */
async function invited(options: Parameters<typeof testMaster>[0] = {}) {
  const postern = await testMaster(options);
  const user = await postern.addPerson('ben@example.com');
  const issued = await postern.issue(user.id);
  const device = await postern.newDevice();
  const redeem = (by: Device = device, code = issued.code) =>
    postern.send('POST', '/v1/enrolments', undefined, { code, ...by.request });
  const lease = async (): Promise<EnrolmentLease> => (await redeem()).body;
  const confirm = (held: EnrolmentLease, change: { publicKey?: string; address?: string } = {}) =>
    postern.send('PUT', `/v1/enrolments/${held.id}`, held.token, {
      publicKey: device.request.publicKey,
      address: held.address,
      ...change,
    });
  return { postern, user, issued, device, redeem, lease, confirm };
}

describe('redeeming a code', () => {
  test('forgives how it is typed', async () => {
    const { redeem, device, issued } = await invited();
    expect((await redeem(device, issued.code.toLowerCase().replaceAll('-', ' '))).status).toBe(201);
  });

  test('again by the same device gives the same answer, byte by byte', async () => {
    const { redeem, postern } = await invited();
    const first = await redeem();
    postern.wait(60);
    expect(await redeem()).toMatchObject({ status: 201, body: first.body });
  });

  test('by a second device is refused, and the admin can see it', async () => {
    const { postern, redeem, lease, issued } = await invited();
    const held = await lease();
    for (let i = 0; i < 15; i++) {
      const second = await redeem(await postern.newDevice());
      expect(second).toMatchObject({ status: 409, body: { code: 'code-used' } });
      expect(JSON.stringify(second.body)).not.toContain(held.address);
    }
    expect(countAudited(postern.store, 'code.second-key', issued.id)).toBe(10);
  });

  test('by the same key with another credential is a second device', async () => {
    const { postern, redeem, lease, device } = await invited();
    await lease();
    const { key } = await postern.newDevice();
    const stolen = { key, request: { ...device.request, credentialKey: key.x } };
    expect(await redeem(stolen)).toMatchObject({ status: 409, body: { code: 'code-used' } });
  });

  test('that nobody made is told from one that was used or ran out', async () => {
    const { postern, redeem, device, issued } = await invited();
    const unknown = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
    expect(await redeem(device, unknown)).toMatchObject({ status: 404, body: { code: 'code-unknown' } });
    const wrong = issued.code.slice(0, -1) + (issued.code.endsWith('A') ? 'B' : 'A');
    const malformed = await redeem(device, wrong);
    expect(malformed).toMatchObject({
      status: 422,
      body: { code: 'invalid-input', errors: [{ path: 'code', message: expect.stringContaining('typing error') }] },
    });
    expect(JSON.stringify(malformed.body)).not.toContain(wrong.replaceAll('-', ''));
    postern.wait(86_401);
    expect(await redeem()).toMatchObject({ status: 410, body: { code: 'code-expired' } });
  });

  test('that was withdrawn is refused', async () => {
    const { postern, redeem, issued, lease, confirm, user, device } = await invited();
    const held = await lease();
    await postern.ask(204, 'DELETE', `/v1/codes/${issued.id}`, postern.ownerToken);
    const { code } = await postern.issue(user.id);
    expect(await redeem(device, code)).toMatchObject({ status: 201, body: { address: held.address } });
    expect(await redeem()).toMatchObject({ status: 410, body: { code: 'code-expired' } });
    expect(await confirm(held)).toMatchObject({ status: 410, body: { code: 'code-expired' } });
  });

  test('of a disabled user is refused until the user is enabled', async () => {
    const { postern, user, redeem } = await invited();
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { disabled: true });
    expect(await redeem()).toMatchObject({ status: 403, body: { code: 'permission-denied' } });
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { disabled: false });
    expect((await redeem()).status).toBe(201);
  });

  test('of a removed user is refused', async () => {
    const { postern, user, redeem } = await invited();
    await postern.ask(204, 'DELETE', `/v1/users/${user.id}`, postern.ownerToken);
    expect(await redeem()).toMatchObject({ status: 410, body: { code: 'code-expired' } });
  });

  test('whose backing was altered in the database is refused, and logged', async () => {
    const { postern, redeem, issued } = await invited();
    const other = await postern.issue(postern.owner.id);
    postern.store.db.run('UPDATE codes SET backing = (SELECT backing FROM codes WHERE id = ?) WHERE id = ?', [
      other.id,
      issued.id,
    ]);
    expect(await redeem()).toMatchObject({ status: 404, body: { code: 'code-unknown' } });
    expect(postern.logged).toHaveLength(1);
  });

  test('that was put in the place of another in the database is refused', async () => {
    const { postern, redeem, device, issued } = await invited();
    const own = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
    const hash = sha256Hex(own.replaceAll('-', ''));
    postern.store.db.run('UPDATE codes SET hash = ? WHERE id = ?', [hash, issued.id]);
    expect(await redeem(device, own)).toMatchObject({ status: 404, body: { code: 'code-unknown' } });
  });

  test('of an earlier life of the database is refused', async () => {
    const { postern, redeem } = await invited();
    postern.store.db.run('UPDATE settings SET epoch = 2');
    expect(await redeem()).toMatchObject({ status: 404, body: { code: 'code-unknown' } });
  });

  test('is refused when no address is left', async () => {
    const { postern, user, redeem } = await invited({ pool: '10.0.0.0/28' });
    for (let i = 0; i < 11; i++) {
      const { code } = await postern.issue(user.id);
      expect((await redeem(await postern.newDevice(), code)).status).toBe(201);
    }
    expect(await redeem()).toMatchObject({ status: 503, body: { code: 'pool-exhausted' } });
    postern.wait(600);
    expect((await redeem()).status).toBe(201);
  });
});

describe('a key is refused', () => {
  const zero = Buffer.alloc(32).toString('base64');
  const lowOrder = Buffer.from(`ec${'ff'.repeat(30)}7f`, 'hex').toString('base64');

  test.each([
    ['all-zero', { publicKey: zero }, 422, 'invalid-input'],
    ['of low order', { publicKey: lowOrder }, 422, 'invalid-input'],
    ['shell text', { publicKey: '$(id)' }, 422, 'invalid-input'],
    ['a credential of low order', { credentialKey: Buffer.alloc(32).toString('base64url') }, 400, 'key-refused'],
  ])('that is %s', async (_, change, status, code) => {
    const { redeem, device, postern } = await invited();
    expect(await redeem({ ...device, request: { ...device.request, ...change } })).toMatchObject({
      status,
      body: { code },
    });
    expect(postern.store.db.query('SELECT count(*) AS n FROM devices').get()).toEqual({ n: 0 });
  });

  test("that is a node's, another device's, or another lease's", async () => {
    const { postern, redeem, lease, device, user } = await invited();
    const n1 = await postern.addMachine('n1');
    const carl = await postern.enrol('carl@example.com');
    await lease();
    const { code } = await postern.issue(user.id);
    const { request } = await postern.newDevice();
    for (const taken of [
      { publicKey: n1.publicKey },
      { credentialKey: n1.key.x },
      { publicKey: carl.device.request.publicKey },
      { credentialKey: carl.device.request.credentialKey },
      { publicKey: device.request.publicKey },
      { credentialKey: device.request.credentialKey },
    ])
      expect(await redeem({ ...device, request: { ...request, ...taken } }, code)).toMatchObject({
        status: 409,
        body: { code: 'key-taken' },
      });
    expect((await redeem({ ...device, request }, code)).status).toBe(201);
  });

  test("that is a device's, for a node", async () => {
    const { postern, device, lease } = await invited();
    await lease();
    const node = { name: 'n1', endpoints: ['198.51.100.1:51820'], publicKey: device.request.publicKey };
    const agentKey = (await postern.newDevice()).key.x;
    expect(await postern.send('POST', '/v1/nodes', postern.ownerToken, { ...node, agentKey })).toMatchObject({
      status: 409,
      body: { code: 'key-taken' },
    });
  });
});

describe('confirming', () => {
  test('again gives the same answer until the code expires', async () => {
    const { postern, lease, confirm, redeem } = await invited();
    const held = await lease();
    const first = await confirm(held);
    expect(first.status).toBe(200);
    const before = postern.store.db.query('SELECT revision FROM settings').get();
    postern.wait(3_600);
    expect(await confirm(held)).toMatchObject({ status: 200, body: first.body });
    expect((await redeem()).body).toEqual(held);
    expect(postern.store.db.query('SELECT revision FROM settings').get()).toEqual(before);
    postern.wait(86_400 - 3_600 + 1);
    expect(await confirm(held)).toMatchObject({ status: 410, body: { code: 'code-expired' } });
    expect(await redeem()).toMatchObject({ status: 410, body: { code: 'code-expired' } });
  });

  test('another address than the reserved one is refused', async () => {
    const { lease, confirm } = await invited();
    const held = await lease();
    expect(await confirm(held, { address: '10.91.64.65' })).toMatchObject({
      status: 409,
      body: { code: 'address-mismatch' },
    });
    expect((await confirm(held)).status).toBe(200);
  });

  test('with another key is refused, and the admin can see it', async () => {
    const { postern, lease, confirm, issued } = await invited();
    const held = await lease();
    expect(await confirm(held, { publicKey: wireguardKey() })).toMatchObject({
      status: 409,
      body: { code: 'code-used' },
    });
    expect(countAudited(postern.store, 'code.second-key', issued.id)).toBe(1);
  });

  test("with another enrolment's token is refused", async () => {
    const { postern, lease, confirm, user } = await invited();
    const held = await lease();
    const other = await postern.newDevice();
    const { code } = await postern.issue(user.id);
    const theirs = await postern.ask<EnrolmentLease>(201, 'POST', '/v1/enrolments', undefined, {
      code,
      ...other.request,
    });
    expect(await confirm({ ...held, token: theirs.token })).toMatchObject({
      status: 401,
      body: { code: 'token-invalid' },
    });
  });

  test('too late frees the address; the code is open again, also for another device', async () => {
    const { postern, lease, confirm, redeem } = await invited();
    const held = await lease();
    postern.wait(600);
    expect(await confirm(held)).toMatchObject({ status: 410, body: { code: 'lease-expired' } });
    const second = await redeem(await postern.newDevice());
    expect(second).toMatchObject({ status: 201, body: { address: held.address } });
    expect(second.body.id).not.toBe(held.id);
    expect(await confirm(held)).toMatchObject({ status: 410, body: { code: 'lease-expired' } });
    expect(await redeem()).toMatchObject({ status: 409, body: { code: 'code-used' } });
  });

  test('after a role changed in between tells of the new access', async () => {
    const { postern, lease, confirm, user } = await invited();
    await postern.addMachine('n1');
    await postern.ask(201, 'POST', '/v1/networks', postern.ownerToken, {
      name: 'internal',
      cidr: '172.19.0.0/16',
      gateways: [{ node: 'n1', device: 'br-internal' }],
      roles: ['admin'],
    });
    const held = await lease();
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { role: 'admin' });
    const { body } = await confirm(held);
    expect(networksIn(held.bundle)).toEqual(['devices']);
    expect(networksIn((body as EnrolmentResult).bundle)).toEqual(['devices', 'internal']);
  });
});

describe('a revoked device', () => {
  test('stays out: its code is spent for ever', async () => {
    const { postern, lease, confirm, redeem } = await invited();
    const held = await lease();
    await confirm(held);
    await postern.ask(200, 'DELETE', `/v1/devices/${held.id}`, postern.ownerToken);
    const refused = { status: 409, body: { code: 'code-used' } };
    expect(await redeem()).toMatchObject(refused);
    expect(await confirm(held)).toMatchObject(refused);
    expect(await redeem(await postern.newDevice())).toMatchObject(refused);
    postern.wait(90_000);
    expect(await redeem()).toMatchObject(refused);
  });

  test('leaves its address resting until every node has applied the removal', async () => {
    const { postern, lease, confirm, user } = await invited();
    const n1 = await postern.addMachine('n1');
    const held = await lease();
    await confirm(held);
    const { revision } = await postern.ask<{ revision: number }>(
      200,
      'DELETE',
      `/v1/devices/${held.id}`,
      postern.ownerToken,
    );
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const nextAddress = async () => {
      const { code } = await postern.issue(user.id);
      const { request } = await postern.newDevice();
      const { address } = await postern.ask<EnrolmentLease>(201, 'POST', '/v1/enrolments', undefined, {
        code,
        ...request,
      });
      return address;
    };
    const report = (epoch: number, applied: number) =>
      postern.ask(204, 'POST', '/v1/agent/reports', agent, { applied: { epoch, revision: applied }, drift: [] });

    // It was not there when the device was, so there is nothing it must forget.
    await postern.addMachine('n2');
    expect(await nextAddress()).toBe('10.91.64.65');
    await report(1, revision - 1);
    expect(await nextAddress()).toBe('10.91.64.66');
    await report(2, revision + 50);
    expect(await nextAddress()).toBe('10.91.64.67');
    await report(1, revision);
    expect(await nextAddress()).toBe(held.address);
  });
});

function networksIn(jws: string): string[] {
  const payload = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
  return payload.networks.map((network: { name: string }) => network.name);
}
