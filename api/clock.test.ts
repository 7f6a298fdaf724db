import { describe, expect, test } from 'bun:test';
import type { EnrolmentLease } from '#contract/enrolment.ts';
import { assertion } from './test-kit/keys.ts';
import { testMaster } from './test-kit/master.ts';

/** The master's clock jumps by an hour, and is set right again; everybody else's goes on. */

const hour = 3_600;

async function beforeTheJump() {
  const postern = await testMaster();
  const n1 = await postern.addMachine('n1');
  const agent = await postern.tokenFor('agent', 'n1', n1.key);
  const ben = await postern.enrol('ben@example.com');
  const benToken = await postern.tokenFor('device', ben.lease.id, ben.device.key);
  const { code } = await postern.issue(ben.user.id);
  const device = await postern.newDevice();
  const redeem = () => postern.send('POST', '/v1/enrolments', undefined, { code, ...device.request });
  const confirm = (lease: EnrolmentLease) =>
    postern.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, {
      publicKey: device.request.publicKey,
      address: lease.address,
    });
  const statusOf = async (path: string, token: string) => (await postern.send('GET', path, token)).status;
  return { postern, n1, agent, ben, benToken, redeem, confirm, statusOf };
}

describe.each([
  ['back', -hour],
  ['ahead', hour],
])('a clock that jumps %s by an hour', (_, seconds) => {
  test('takes no access from anybody', async () => {
    const { postern, ben, statusOf } = await beforeTheJump();
    const before = await postern.master.published.snapshot();
    postern.wait(seconds);
    expect(await statusOf('/v1/users', postern.ownerToken)).toBe(200);
    expect(await statusOf(`/v1/devices/${ben.lease.id}`, postern.ownerToken)).toBe(200);
    expect((await postern.master.published.snapshot()).jws).toBe(before.jws);
  });

  test('lets a code be redeemed, and an enrolment that had begun be finished', async () => {
    const { postern, redeem, confirm } = await beforeTheJump();
    const begun = await redeem();
    expect(begun.status).toBe(201);
    postern.wait(seconds);
    // The reservation may have run out, as the client is told; the code has not.
    const first = await confirm(begun.body);
    expect(first).toMatchObject(seconds < 0 ? { status: 200 } : { status: 410, body: { code: 'lease-expired' } });
    const again = await redeem();
    expect(again.status).toBe(201);
    expect((await confirm(again.body)).status).toBe(200);
    postern.wait(-seconds);
    expect((await confirm(again.body)).status).toBe(200);
  });

  test('is told to agents whose own is right, and forgotten once it is set right', async () => {
    const { postern, n1, agent, benToken, statusOf } = await beforeTheJump();
    const rightNow = postern.clock.now;
    postern.wait(seconds);
    // A token that was given before the jump is not longer good than it said.
    for (const [path, token] of [
      ['/v1/agent/snapshot', agent],
      ['/v1/device/bundle', benToken],
    ] as const)
      expect(await statusOf(path, token)).toBe(seconds < 0 ? 200 : 401);
    const signed = await assertion('agent', 'n1', n1.key, rightNow);
    const refused = await postern.send('POST', '/v1/agent/tokens', undefined, { assertion: signed });
    expect(refused).toMatchObject({ status: 401, body: { code: 'token-invalid' } });
    postern.wait(-seconds);
    expect(await statusOf('/v1/agent/snapshot', agent)).toBe(200);
    expect(await statusOf('/v1/agent/snapshot', await postern.tokenFor('agent', 'n1', n1.key))).toBe(200);
  });

  test('lets no moment of a change lie before the one of the change before', async () => {
    const { postern } = await beforeTheJump();
    const issuedAt = async () => {
      const { jws } = await postern.master.published.snapshot();
      return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()).issuedAt as string;
    };
    const moments = [await issuedAt()];
    for (const jump of [seconds, -seconds]) {
      postern.wait(jump);
      await postern.addPerson(`someone${jump}@example.com`);
      moments.push(await issuedAt());
    }
    expect(moments).toEqual(moments.toSorted());
  });
});
