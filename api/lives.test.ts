import { describe, expect, test } from 'bun:test';
import { heldHeader } from '#contract/agent.ts';
import type { MasterStatus } from '#contract/life.ts';
import type { Snapshot, Version } from '#contract/snapshot.ts';
import { settleMilliseconds } from './decisions/witness.ts';
import { signSnapshot } from './keys/signed.ts';
import { makeKey, useKey } from './keys/working-keys.ts';
import { beginLife } from './store/lives.ts';
import { currentVersion } from './store/settings.ts';
import { readSnapshot } from './store/snapshot.ts';
import { wireguardKey } from './test-kit/keys.ts';
import { start, type TestMaster, testMaster } from './test-kit/master.ts';

type Node = { name: string; token: string };

async function withNodes(...names: string[]): Promise<{ postern: TestMaster; nodes: Node[] }> {
  const postern = await testMaster();
  const nodes: Node[] = [];
  for (const name of names) {
    const { key } = await postern.addMachine(name);
    nodes.push({ name, token: await postern.tokenFor('agent', name, key) });
  }
  return { postern, nodes };
}

const versionText = ({ epoch, revision }: Version) => `${epoch}-${revision}`;

/** What a node is told when it asks for the snapshot and says what it holds. */
async function asks({ fetch }: TestMaster, { token }: Node, held: Version | undefined) {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(held === undefined ? {} : { [heldHeader]: versionText(held) }),
  };
  const response = await fetch('/v1/agent/snapshot', { headers });
  const text = await response.text();
  return { status: response.status, code: response.status === 200 ? undefined : JSON.parse(text).code };
}

async function shows(postern: TestMaster, { token }: Node, snapshot: Snapshot, key = postern.keys.snapshots) {
  const jws = await signSnapshot(snapshot, key);
  return postern.send('POST', '/v1/agent/witness', token, { snapshot: jws });
}

const status = (postern: TestMaster) => postern.ask<MasterStatus>(200, 'GET', '/v1/master', postern.ownerToken);
const restoreNow = ({ store, clock }: TestMaster) =>
  beginLife(store, { cause: 'restore', copiedAt: start.toISOString(), actor: 'test' }, clock.now);

describe('a master that nodes know a newer one of', () => {
  const newer: [string, (own: Version) => Version][] = [
    ['a higher revision', ({ epoch, revision }) => ({ epoch, revision: revision + 1 })],
    ['a higher epoch, be the revision lower', ({ epoch }) => ({ epoch: epoch + 1, revision: 1 })],
  ];
  test.each(newer)('of %s stands still once that is proven', async (_, version) => {
    const { postern, nodes } = await withNodes('n1');
    const [n1] = nodes as [Node];
    const ben = await postern.enrol('ben@example.com');
    const own = currentVersion(postern.store);
    const held = version(own);
    expect(await asks(postern, n1, held)).toEqual({ status: 409, code: 'witness-wanted' });
    expect((await status(postern)).superseded).toBeNull();

    expect(await shows(postern, n1, { ...readSnapshot(postern.store), ...held })).toMatchObject({ status: 204 });
    expect((await status(postern)).superseded).toMatchObject({ by: held, node: 'n1' });
    const stale = { status: 503, code: 'stale-master' };
    expect(await asks(postern, n1, held)).toEqual(stale);
    expect(await asks(postern, n1, undefined)).toEqual(stale);
    const deviceToken = (path: string, method = 'GET') => postern.send(method, path, postern.ownerToken, undefined);
    for (const answer of [
      await postern.send('POST', '/v1/users', postern.ownerToken, { email: 'x@example.com', role: 'admin' }),
      await postern.send('DELETE', `/v1/devices/${ben.lease.id}`, postern.ownerToken),
      await postern.send('POST', '/v1/enrolments', undefined, {}),
      await postern.send('POST', '/v1/agent/reports', n1.token, { drift: [] }),
      await postern.send('GET', '/v1/agent/bundles', n1.token),
      await postern.send('GET', '/healthz'),
    ])
      expect(answer).toMatchObject({ status: 503, body: { code: 'stale-master' } });
    expect(await deviceToken('/v1/users')).toMatchObject({ status: 200 });
    expect(currentVersion(postern.store)).toEqual(own);
    expect(() => postern.store.db.run('UPDATE settings SET revision = revision + 1')).toThrow('newer master');
  });

  test('goes on after a promotion, above what was shown, and closes what was closed meanwhile', async () => {
    const { postern, nodes } = await withNodes('n1');
    const [n1] = nodes as [Node];
    const ben = await postern.enrol('ben@example.com');
    await postern.enrol('eva@example.com');
    const own = readSnapshot(postern.store);
    const devices = own.devices.filter(({ id }) => id !== ben.lease.id);
    const elsewhere = { ...own, epoch: 7, revision: own.revision - 1, devices };
    await shows(postern, n1, elsewhere);
    beginLife(postern.store, { cause: 'promote', copiedAt: start.toISOString(), actor: 'test' }, postern.clock.now);
    expect(currentVersion(postern.store)).toEqual({ epoch: 8, revision: own.revision + 1 });
    expect(await asks(postern, n1, elsewhere)).toEqual({ status: 409, code: 'witness-wanted' });
    await shows(postern, n1, elsewhere);
    expect(await asks(postern, n1, elsewhere)).toEqual({ status: 200, code: undefined });
    expect(readSnapshot(postern.store).devices.map(({ id }) => id)).toEqual(devices.map(({ id }) => id));
    await postern.addPerson('new@example.com');
  });

  test('is not fooled by a snapshot that it did not sign, nor by a mere claim', async () => {
    const { postern, nodes } = await withNodes('n1');
    const [n1] = nodes as [Node];
    const own = currentVersion(postern.store);
    const held = { epoch: own.epoch + 1, revision: 1 };
    const forged = await useKey(await makeKey(new Date('2036-01-01T00:00:00.000Z')));
    for (const jws of [
      { key: forged, snapshot: { ...readSnapshot(postern.store), ...held } },
      { key: { ...forged, kid: postern.keys.snapshots.kid }, snapshot: { ...readSnapshot(postern.store), ...held } },
    ])
      expect(await shows(postern, n1, jws.snapshot, jws.key)).toMatchObject({ status: 204 });
    expect(await postern.send('POST', '/v1/agent/witness', n1.token, { snapshot: 'x.y.z' })).toMatchObject({
      status: 204,
    });
    expect((await status(postern)).superseded).toBeNull();
    // It has nothing better to show, so it is not asked again and again.
    expect(await asks(postern, n1, held)).toEqual({ status: 200, code: undefined });
  });
});

describe('a new life', () => {
  test('makes open codes and leases void, and leaves tokens, roster and spent codes', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    const open = await postern.issue(ben.user.id);
    const leased = await postern.issue(ben.user.id);
    const device = (await postern.newDevice('second')).request;
    const lease = await postern.ask<{ id: string; token: string; address: string }>(
      ...([201, 'POST', '/v1/enrolments', undefined, { code: leased.code, ...device }] as const),
    );
    const before = readSnapshot(postern.store);
    restoreNow(postern);
    for (const { code } of [open, leased])
      expect(await postern.send('POST', '/v1/enrolments', undefined, { code, ...device })).toMatchObject({
        status: 404,
        body: { code: 'code-unknown' },
      });
    const confirmation = { publicKey: device.publicKey, address: lease.address };
    expect((await postern.send('PUT', `/v1/enrolments/${lease.id}`, lease.token, confirmation)).status).toBe(410);
    const { epoch, revision, issuedAt, ...after } = readSnapshot(postern.store);
    expect(before).toMatchObject(after);
    expect({ epoch, revision }).toEqual({ epoch: 2, revision: before.revision + 1 });
    const listed = await postern.ask<{ items: { state: string }[] }>(
      ...([200, 'GET', `/v1/users/${ben.user.id}/codes`, postern.ownerToken] as const),
    );
    expect(listed.items.map(({ state }) => state).sort()).toEqual(['spent', 'withdrawn', 'withdrawn']);
    await postern.enrol('new@example.com');
  });

  test('hears every node before it gives anything, for a while', async () => {
    const { postern, nodes } = await withNodes('n1', 'n2');
    const [n1, n2] = nodes as [Node, Node];
    const copied = currentVersion(postern.store);
    restoreNow(postern);
    const none = { epoch: 0, revision: 0 };
    expect(await asks(postern, n1, none)).toEqual({ status: 503, code: 'not-ready' });
    expect((await status(postern)).life).toMatchObject({ witnesses: ['n1'], awaited: ['n2'] });
    expect(await asks(postern, n2, copied)).toEqual({ status: 200, code: undefined });
    expect(await asks(postern, n1, none)).toEqual({ status: 200, code: undefined });
  });

  test('does not wait for ever for a node that is gone', async () => {
    const { postern, nodes } = await withNodes('n1', 'n2');
    const [n1] = nodes as [Node];
    restoreNow(postern);
    postern.wait(settleMilliseconds / 1000);
    expect(await asks(postern, n1, { epoch: 0, revision: 0 })).toEqual({ status: 200, code: undefined });
  });

  test('closes again what was closed after the copy, and tells what is lost', async () => {
    const { postern, nodes } = await withNodes('n1', 'n2', 'n3');
    const [n1] = nodes as [Node];
    const people = {
      stays: await postern.enrol('stays@example.com'),
      revoked: await postern.enrol('revoked@example.com'),
      disabled: await postern.enrol('disabled@example.com'),
      lowered: await postern.enrol('lowered@example.com', 'admin'),
      touched: await postern.enrol('touched@example.com', 'admin'),
    };
    const copy = readSnapshot(postern.store);
    const idOf = (person: keyof typeof people) => people[person].user.id;
    const newcomer = { id: crypto.randomUUID().replace(/^(.{14})./, '$17'), email: 'lost@example.com', role: 'admin' };
    const later: Snapshot = {
      ...copy,
      revision: copy.revision + 9,
      users: [
        ...copy.users
          .filter(({ id }) => id !== idOf('disabled'))
          .map((user) =>
            [idOf('lowered'), idOf('touched')].includes(user.id) ? { ...user, role: 'developer' } : user,
          ),
        newcomer,
      ],
      devices: [
        ...copy.devices.filter(({ userId }) => ![idOf('revoked'), idOf('disabled')].includes(userId)),
        {
          id: newcomer.id,
          userId: newcomer.id,
          name: 'lost',
          publicKey: wireguardKey(),
          address: '10.91.64.99',
          bundleRevision: 1,
        },
      ],
      nodes: copy.nodes.filter(({ name }) => name !== 'n3'),
      policy: { ...copy.policy, document: 'role admin\nrole developer\n' },
      fronts: [{ service: 'vault', address: '10.91.127.254' }],
    };
    restoreNow(postern);
    await postern.ask(200, 'PATCH', `/v1/users/${idOf('touched')}`, postern.ownerToken, { permission: 'auditor' });
    const after = await postern.enrol('after@example.com');

    expect(await asks(postern, n1, later)).toEqual({ status: 409, code: 'witness-wanted' });
    expect(await shows(postern, n1, later)).toMatchObject({ status: 204 });
    expect((await status(postern)).life?.aftermath).toEqual({
      revoked: [{ name: 'laptop', email: 'revoked@example.com', address: people.revoked.lease.address }],
      disabled: ['disabled@example.com'],
      roles: [{ email: 'lowered@example.com', from: 'admin', to: 'developer' }],
      removedNodes: ['n3'],
      lostDevices: [{ name: 'lost', email: 'lost@example.com', address: '10.91.64.99' }],
      lostUsers: ['lost@example.com'],
      lostNodes: [],
      policy: 'taken-over',
      toClose: [],
    });
    const now = readSnapshot(postern.store);
    const owners = new Map(now.users.map(({ id, email }) => [id, email]));
    expect(now.devices.map(({ userId }) => owners.get(userId) ?? '?').sort()).toEqual([
      'after@example.com',
      'lowered@example.com',
      'stays@example.com',
      'touched@example.com',
    ]);
    expect(now.policy.document).toBe(later.policy.document);
    expect(now.revision).toBeGreaterThan(later.revision);
    expect(after.lease.address).not.toBe('10.91.64.99');

    const version = currentVersion(postern.store);
    expect(await shows(postern, n1, later)).toMatchObject({ status: 204 });
    expect(await shows(postern, n1, copy)).toMatchObject({ status: 204 });
    expect(currentVersion(postern.store)).toEqual(version);
  });
});
