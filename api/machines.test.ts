import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device, IssuedCode } from '#contract/admin.ts';
import type { EnrolmentLease, EnrolmentResult } from '#contract/enrolment.ts';
import { letMachinesGo } from './fleet/machines.ts';
import { expireDevices } from './store/devices.ts';
import { openStore } from './store/open.ts';
import { readSnapshot } from './store/snapshot.ts';
import { testMaster } from './test-kit/master.ts';

type Postern = Awaited<ReturnType<typeof testMaster>>;

const folder = mkdtempSync(join(tmpdir(), 'postern-machines-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A machine that is inside for `seconds`. */
async function machine(postern: Postern, userId: string, seconds: number, name = 'runner') {
  const { code } = await postern.ask<IssuedCode>(201, 'POST', `/v1/users/${userId}/codes`, postern.ownerToken, {
    device: { kind: 'machine', expiresIn: seconds },
  });
  const device = await postern.newDevice(name);
  const request = { code, ...device.request };
  const lease = await postern.ask<EnrolmentLease>(201, 'POST', '/v1/enrolments', undefined, request);
  const { publicKey } = device.request;
  const confirm = () =>
    postern.ask<EnrolmentResult>(200, 'PUT', `/v1/enrolments/${lease.id}`, lease.token, {
      publicKey,
      address: lease.address,
    });
  await confirm();
  return { id: lease.id, address: lease.address, key: device.key, lease, confirm, request };
}

const get = (postern: Postern, id: string) => postern.send('GET', `/v1/devices/${id}`, postern.ownerToken);
const inSnapshot = (postern: Postern) => readSnapshot(postern.store).devices.map(({ id }) => id);
const acts = (postern: Postern, subject: string) =>
  postern.store.db
    .query<{ act: string; actor: string }, [string]>('SELECT act, actor FROM audit WHERE subject = ? ORDER BY id')
    .all(subject);

describe('a machine', () => {
  test('is a device with an end, counted from when it joined', async () => {
    const postern = await testMaster();
    const ci = await postern.addPerson('ci@example.com');
    const { id } = await machine(postern, ci.id, 3_600);
    expect((await get(postern, id)).body).toMatchObject({ kind: 'machine', expiresAt: '2026-12-01T09:00:00.000Z' });
    const person = await postern.enrol('ben@example.com');
    expect((await get(postern, person.lease.id)).body).toMatchObject({ kind: 'managed', expiresAt: null });
    const { items } = await postern.ask<{ items: Device[] }>(
      200,
      'GET',
      '/v1/devices?kind=machine',
      postern.ownerToken,
    );
    expect(items.map((device) => device.id)).toEqual([id]);
  });

  test('leaves the snapshot by itself, raises the revision once for all that end, and its address rests', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const ci = await postern.addPerson('ci@example.com');
    const short = [await machine(postern, ci.id, 600, 'a'), await machine(postern, ci.id, 600, 'b')];
    const long = await machine(postern, ci.id, 7_200, 'c');
    postern.wait(599);
    expect(expireDevices(postern.store, postern.clock.now)).toEqual([]);
    const { revision } = readSnapshot(postern.store);
    postern.wait(1);
    expect(expireDevices(postern.store, postern.clock.now)).toEqual(short.map(({ id }) => id));
    expect(readSnapshot(postern.store).revision).toBe(revision + 1);
    expect(inSnapshot(postern)).toEqual([long.id]);
    for (const { id } of short) {
      expect((await get(postern, id)).status).toBe(404);
      expect(acts(postern, id).at(-1)).toEqual({ act: 'device.expire', actor: 'master' });
    }
    expect(expireDevices(postern.store, postern.clock.now)).toEqual([]);
    const next = await machine(postern, ci.id, 600, 'd');
    expect(short.map(({ address }) => address)).not.toContain(next.address);
  });

  test('that has left has no token and no way back', async () => {
    const postern = await testMaster();
    const ci = await postern.addPerson('ci@example.com');
    const { id, key, lease, request } = await machine(postern, ci.id, 60);
    const token = await postern.tokenFor('device', id, key);
    postern.wait(60);
    expireDevices(postern.store, postern.clock.now);
    expect((await postern.send('GET', '/v1/device/bundle', token)).status).toBe(401);
    expect((await postern.send('POST', '/v1/enrolments', undefined, request)).body).toMatchObject({
      code: 'code-used',
    });
    const again = { publicKey: request.publicKey, address: lease.address };
    expect((await postern.send('PUT', `/v1/enrolments/${id}`, lease.token, again)).body).toMatchObject({
      code: 'code-used',
    });
  });

  test('is renewed, and ended sooner, by moving its end', async () => {
    const postern = await testMaster();
    const ci = await postern.addPerson('ci@example.com');
    const { id, confirm } = await machine(postern, ci.id, 600);
    const move = (expiresAt: string) => postern.send('PATCH', `/v1/devices/${id}`, postern.ownerToken, { expiresAt });
    expect(await move('2026-12-01T11:00:00+02:00')).toMatchObject({
      status: 200,
      body: { expiresAt: '2026-12-01T09:00:00.000Z' },
    });
    // A confirmation that is repeated does not move it back.
    await confirm();
    postern.wait(3_599);
    expect(expireDevices(postern.store, postern.clock.now)).toEqual([]);
    expect((await move('2026-12-01T08:59:59.500Z')).status).toBe(200);
    postern.wait(1);
    expect(expireDevices(postern.store, postern.clock.now)).toEqual([id]);
    expect(acts(postern, id).map(({ act }) => act)).toEqual([
      'device.enrol',
      'device.renew',
      'device.renew',
      'device.expire',
    ]);
  });

  test.each([
    ['the past', '2026-12-01T07:00:00Z'],
    ['now', '2026-12-01T08:00:00Z'],
    ['more than a year', '2028-01-01T00:00:00Z'],
    ['no date', 'tomorrow'],
    ['a date that no calendar has', '2026-13-45T00:00:00Z'],
    ['nothing', null],
  ])('is not renewed to %s', async (_, expiresAt) => {
    const postern = await testMaster();
    const ci = await postern.addPerson('ci@example.com');
    const { id } = await machine(postern, ci.id, 600);
    expect(await postern.send('PATCH', `/v1/devices/${id}`, postern.ownerToken, { expiresAt })).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'expiresAt' }] },
    });
    expect((await get(postern, id)).body.expiresAt).toBe('2026-12-01T08:10:00.000Z');
  });

  test.each([
    ['a second', { kind: 'machine', expiresIn: 1 }],
    ['for ever', { kind: 'machine' }],
    ['two years', { kind: 'machine', expiresIn: 2 * 366 * 86_400 }],
    ['another kind', { kind: 'managed', expiresIn: 600 }],
  ])('gets no code for %s', async (_, device) => {
    const postern = await testMaster();
    const path = `/v1/users/${postern.owner.id}/codes`;
    expect((await postern.send('POST', path, postern.ownerToken, { device })).status).toBe(422);
  });
});

test("a person's device has no end", async () => {
  const postern = await testMaster();
  const { lease } = await postern.enrol('ben@example.com');
  const change = { name: 'mine', expiresAt: '2026-12-02T00:00:00Z' };
  expect(await postern.send('PATCH', `/v1/devices/${lease.id}`, postern.ownerToken, change)).toMatchObject({
    status: 422,
    body: { errors: [{ path: 'expiresAt' }] },
  });
  expect((await get(postern, lease.id)).body.name).toBe('laptop');
});

test('a master that was down lets go at its start what ended meanwhile, and goes on by itself', async () => {
  const postern = await testMaster();
  const ci = await postern.addPerson('ci@example.com');
  const early = await machine(postern, ci.id, 60, 'early');
  const late = await machine(postern, ci.id, 120, 'late');
  const path = join(folder, 'stopped.db');
  postern.store.db.query('VACUUM INTO ?').run(path);

  const store = openStore(path);
  const clock = { now: new Date(postern.clock.now.getTime() + 90_000) };
  const logged: unknown[] = [];
  const forgotten: string[] = [];
  const machines = letMachinesGo({
    store,
    published: { ...postern.master.published, forget: (id) => void forgotten.push(id) },
    now: () => clock.now,
    log: { error: (...line) => void logged.push(line) },
  });
  expect(readSnapshot(store).devices.map(({ id }) => id)).toEqual([late.id]);
  clock.now = new Date(postern.clock.now.getTime() + 120_000);
  for (let tries = 0; tries < 200 && forgotten.length < 2; tries++) await Bun.sleep(50);
  machines.stop();
  expect(readSnapshot(store).devices).toEqual([]);
  expect([forgotten, logged]).toEqual([[early.id, late.id], []]);
  store.close();
});

test('a disk that fails keeps a machine until it can be removed, and the log says so', async () => {
  const postern = await testMaster();
  const ci = await postern.addPerson('ci@example.com');
  await machine(postern, ci.id, 60);
  postern.wait(60);
  postern.store.db.run(
    `CREATE TRIGGER broken BEFORE DELETE ON devices BEGIN SELECT RAISE(ABORT, 'a disk that fails'); END`,
  );
  const machines = letMachinesGo(postern.master);
  expect(postern.logged).toHaveLength(1);
  postern.store.db.run('DROP TRIGGER broken');
  for (let tries = 0; tries < 200 && inSnapshot(postern).length > 0; tries++) await Bun.sleep(50);
  machines.stop();
  expect(inSnapshot(postern)).toEqual([]);
});
