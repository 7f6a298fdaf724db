import { describe, expect, test } from 'bun:test';
import type { CachedBundle } from '#contract/agent.ts';
import { sha256Hex } from './formats/hash.ts';
import { readSnapshot } from './store/snapshot.ts';
import { testMaster } from './test-kit/master.ts';

type Postern = Awaited<ReturnType<typeof testMaster>>;

const revisionOf = (postern: Postern) => readSnapshot(postern.store).revision;
const audited = (postern: Postern) =>
  postern.store.db
    .query<{ act: string }, []>('SELECT act FROM audit ORDER BY id')
    .all()
    .map(({ act }) => act);

const internal = {
  name: 'internal',
  cidr: '172.19.0.0/16',
  gateways: [{ node: 'n1', device: 'br-internal' }],
  roles: ['admin'],
};

describe('what raises the revision', () => {
  test('is each change that a node must see, once, with a row in the audit log', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const ben = await postern.enrol('ben@example.com');
    const owner = postern.ownerToken;
    const steps: [string, string, unknown, number, string][] = [
      ['PATCH', `/v1/users/${ben.user.id}`, { role: 'admin' }, 1, 'user.change'],
      ['PATCH', `/v1/users/${ben.user.id}`, { role: 'admin' }, 0, ''],
      ['PATCH', `/v1/users/${ben.user.id}`, { permission: 'auditor' }, 0, 'user.change'],
      ['POST', `/v1/users/${ben.user.id}/codes`, {}, 0, 'code.add'],
      ['PATCH', `/v1/devices/${ben.lease.id}`, { name: 'büro-7' }, 1, 'device.rename'],
      ['PATCH', `/v1/devices/${ben.lease.id}`, { name: 'büro-7' }, 0, ''],
      ['POST', '/v1/networks', internal, 1, 'network.add'],
      ['POST', '/v1/networks', internal, 0, ''],
      ['DELETE', '/v1/networks/internal', undefined, 0, ''],
      ['DELETE', '/v1/networks/internal?uses=remove', undefined, 1, 'network.remove'],
      ['PATCH', `/v1/users/${ben.user.id}`, { disabled: true }, 1, 'user.change'],
      ['PATCH', `/v1/users/${ben.user.id}`, { disabled: false }, 1, 'user.change'],
      ['DELETE', `/v1/devices/${ben.lease.id}`, undefined, 1, 'device.revoke'],
      ['DELETE', `/v1/users/${ben.user.id}`, undefined, 1, 'user.remove'],
      ['POST', '/v1/node-codes', { name: 'n2' }, 0, 'node-code.add'],
      ['PATCH', '/v1/nodes/n1', { draining: true }, 1, 'node.change'],
      ['PATCH', '/v1/nodes/n1', { draining: true }, 0, ''],
      ['PATCH', '/v1/settings', { upstreams: ['9.9.9.9'] }, 1, 'settings.change'],
      ['PATCH', '/v1/settings', { upstreams: ['9.9.9.9'] }, 0, ''],
      ['DELETE', '/v1/nodes/n1', undefined, 1, 'node.remove'],
    ];
    for (const [method, path, body, raised, act] of steps) {
      const [revision, rows] = [revisionOf(postern), audited(postern).length];
      await postern.send(method, path, owner, body);
      expect([method, path, revisionOf(postern) - revision]).toEqual([method, path, raised]);
      expect(audited(postern).slice(rows)).toEqual(act === '' ? [] : [act]);
    }
    expect(n1.node.name).toBe('n1');
  });

  test('is not a report', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const ben = await postern.enrol('ben@example.com');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const revision = revisionOf(postern);
    await postern.ask(204, 'POST', '/v1/agent/reports', agent, {
      applied: { epoch: 1, revision },
      drift: ['a peer was missing'],
      problem: 'the clock is off',
      peers: [
        { publicKey: ben.device.request.publicKey, latestHandshake: 1_796_112_000, receivedBytes: 12, sentBytes: 34 },
      ],
      load: { cpu: 0.2, memoryUsedBytes: 1, memoryTotalBytes: 2 },
    });
    expect(revisionOf(postern)).toBe(revision);
    expect(await postern.ask(200, 'GET', '/v1/nodes/n1', postern.ownerToken)).toMatchObject({
      applied: { epoch: 1, revision },
      problem: 'the clock is off',
      seenAt: postern.clock.now.toISOString(),
      connected: false,
    });
    expect(await postern.ask(200, 'GET', `/v1/devices/${ben.lease.id}`, postern.ownerToken)).toMatchObject({
      latestHandshake: '2026-12-01T08:00:00.000Z',
      receivedBytes: 12,
      sentBytes: 34,
    });
  });

  test('never goes back in time, even when the clock does', async () => {
    const postern = await testMaster();
    await postern.addPerson('a@example.com');
    const { issuedAt } = readSnapshot(postern.store);
    postern.wait(-3_600);
    await postern.addPerson('b@example.com');
    expect(readSnapshot(postern.store).issuedAt).toBe(issuedAt);
  });
});

describe('bundles', () => {
  test('change for those alone whom a change concerns', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const dev = await postern.enrol('dev@example.com');
    const adm = await postern.enrol('adm@example.com', 'admin');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const changedSince = async (after: number) => {
      const { items } = await postern.ask<{ items: CachedBundle[] }>(
        200,
        'GET',
        `/v1/agent/bundles?after=${after}`,
        agent,
      );
      const known = readSnapshot(postern.store);
      for (const { publicKey, revision } of items)
        expect(known.devices.find((device) => device.publicKey === publicKey)?.bundleRevision).toBe(revision);
      return items.map(({ publicKey }) => publicKey).sort();
    };
    const keys = { dev: dev.device.request.publicKey, adm: adm.device.request.publicKey };

    let before = revisionOf(postern);
    await postern.ask(201, 'POST', '/v1/networks', postern.ownerToken, internal);
    expect(await changedSince(before)).toEqual([keys.adm]);

    before = revisionOf(postern);
    await postern.addPerson('new@example.com');
    expect(await changedSince(before)).toEqual([]);

    before = revisionOf(postern);
    await postern.ask(200, 'PATCH', `/v1/users/${dev.user.id}`, postern.ownerToken, { role: 'admin' });
    expect(await changedSince(before)).toEqual([keys.dev]);

    before = revisionOf(postern);
    await postern.addMachine('n2');
    expect(await changedSince(before)).toEqual([keys.dev, keys.adm].sort());
  });

  test('of a device that enters the snapshot are news, however old they are', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const since = (after: number) =>
      postern.ask<{ items: CachedBundle[] }>(200, 'GET', `/v1/agent/bundles?after=${after}`, agent);
    const ben = await postern.enrol('ben@example.com');
    const change = (disabled: boolean) =>
      postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled });
    await change(true);
    expect((await since(0)).items).toEqual([]);
    const before = revisionOf(postern);
    await change(false);
    expect((await since(before)).items).toMatchObject([{ publicKey: ben.device.request.publicKey }]);
    expect((await since(revisionOf(postern))).items).toEqual([]);
  });
});

describe('a disabled user', () => {
  test('leaves the snapshot with its devices, keeps their addresses, and comes back whole', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const ben = await postern.enrol('ben@example.com');
    const device = await postern.tokenFor('device', ben.lease.id, ben.device.key);
    const whole = readSnapshot(postern.store);
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: true });
    expect(readSnapshot(postern.store)).toMatchObject({ devices: [], users: [{ email: 'ana@example.com' }] });
    expect((await postern.send('GET', '/v1/device/bundle', device)).status).toBe(403);
    const carl = await postern.enrol('carl@example.com');
    expect(carl.lease.address).not.toBe(ben.lease.address);
    await postern.ask(200, 'DELETE', `/v1/devices/${carl.lease.id}`, postern.ownerToken);
    await postern.ask(204, 'DELETE', `/v1/users/${carl.user.id}`, postern.ownerToken);
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: false });
    const { users, devices } = readSnapshot(postern.store);
    expect({ users, devices }).toEqual({ users: whole.users, devices: whole.devices });
  });
});

describe('users', () => {
  test('the last owner stays', async () => {
    const postern = await testMaster();
    const path = `/v1/users/${postern.owner.id}`;
    const lastOwner = { status: 409, body: { code: 'last-owner' } };
    for (const change of [{ permission: 'none' }, { disabled: true }])
      expect(await postern.send('PATCH', path, postern.ownerToken, change)).toMatchObject(lastOwner);
    expect(await postern.send('DELETE', path, postern.ownerToken)).toMatchObject(lastOwner);
    await postern.addPerson('second@example.com', 'owner');
    expect((await postern.send('DELETE', path, postern.ownerToken)).status).toBe(204);
    expect((await postern.send('GET', '/v1/users', postern.ownerToken)).status).toBe(401);
  });

  test('an address is taken in any case, a role must exist', async () => {
    const postern = await testMaster();
    const add = (email: string, role: string) => postern.send('POST', '/v1/users', postern.ownerToken, { email, role });
    expect(await add('ANA@example.com', 'admin')).toMatchObject({ status: 409, body: { code: 'already-exists' } });
    expect(await add('b@example.com', 'root')).toMatchObject({ status: 422, body: { errors: [{ path: 'role' }] } });
  });

  test('removing one removes its devices', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    await postern.ask(204, 'DELETE', `/v1/users/${ben.user.id}`, postern.ownerToken);
    expect(readSnapshot(postern.store).devices).toEqual([]);
    const retry = { code: ben.code, ...ben.device.request };
    expect((await postern.send('POST', '/v1/enrolments', undefined, retry)).status).toBe(409);
  });
});

describe('codes', () => {
  test('are listed with what became of them, never with the code', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    const open = await postern.issue(ben.user.id, 60);
    const withdrawn = await postern.issue(ben.user.id);
    await postern.ask(204, 'DELETE', `/v1/codes/${withdrawn.id}`, postern.ownerToken);
    await postern.ask(204, 'DELETE', `/v1/codes/${withdrawn.id}`, postern.ownerToken);
    const list = () =>
      postern.ask<{ items: { state: string }[] }>(200, 'GET', `/v1/users/${ben.user.id}/codes`, postern.ownerToken);
    expect((await list()).items.map(({ state }) => state)).toEqual(['spent', 'open', 'withdrawn']);
    postern.wait(61);
    const { items } = await list();
    expect(items.map(({ state }) => state)).toEqual(['spent', 'expired', 'withdrawn']);
    expect(JSON.stringify(items)).not.toContain(open.code);
  });

  test('a spent one is not withdrawn, and a disabled user gets none', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    const path = `/v1/users/${ben.user.id}/codes`;
    const { items } = await postern.ask<{ items: { id: string }[] }>(200, 'GET', path, postern.ownerToken);
    expect(await postern.send('DELETE', `/v1/codes/${items[0]?.id}`, postern.ownerToken)).toMatchObject({
      status: 409,
      body: { code: 'code-used' },
    });
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: true });
    expect((await postern.send('POST', path, postern.ownerToken, {})).status).toBe(409);
  });

  test('appear nowhere in the database', async () => {
    const postern = await testMaster();
    const { code } = await postern.issue(postern.owner.id);
    const stored = Buffer.from(postern.store.db.serialize()).toString('latin1');
    expect(stored).toContain('ana@example.com');
    expect(stored).not.toContain(code);
    expect(stored).not.toContain(code.replaceAll('-', ''));
    expect(stored).not.toContain(postern.ownerToken);
  });

  test('come with a line that pins the script, and holds no code', async () => {
    const postern = await testMaster();
    postern.files.set('join.sh', new TextEncoder().encode('echo hello\n'));
    const { code, join } = await postern.issue(postern.owner.id);
    expect(join.sh).toContain('https://vpn.example.com:8443/join.sh');
    expect(join.sh).toContain(`'^${sha256Hex('echo hello\n')} '`);
    expect(join.sh).not.toContain(code);
    expect((await postern.send('GET', '/join.sh')).body).toBe('echo hello\n');
  });
});

describe('nodes and networks', () => {
  test('a node that leads to a network stays; a removed one frees its place once all know', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const n2 = await postern.addMachine('n2');
    expect(n2.node.tunnelAddress).toBe('10.91.64.3');
    await postern.ask(201, 'POST', '/v1/networks', postern.ownerToken, internal);
    expect(await postern.send('DELETE', '/v1/nodes/n1', postern.ownerToken)).toMatchObject({
      status: 409,
      body: { code: 'in-use', lines: [{ text: 'network internal = 172.19.0.0/16 via n1 dev br-internal' }] },
    });
    await postern.ask(204, 'DELETE', '/v1/nodes/n2', postern.ownerToken);
    expect((await postern.addMachine('n3')).node.tunnelAddress).toBe('10.91.64.4');
  });
});

describe('waiting for the nodes', () => {
  test('ends as soon as all have the change in force', async () => {
    const postern = await testMaster({ convergenceMilliseconds: 20_000 });
    const n1 = await postern.addMachine('n1');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const report = (revision: number) =>
      postern.ask(204, 'POST', '/v1/agent/reports', agent, { applied: { epoch: 1, revision }, drift: [] });
    postern.master.store.onRevised(({ revision }) => void Bun.sleep(5).then(() => report(revision)));
    const { lease, result } = await postern.enrol('ben@example.com');
    expect(result).toMatchObject({ appliedBy: ['n1'], pending: [] });
    const gone = await postern.ask(200, 'DELETE', `/v1/devices/${lease.id}`, postern.ownerToken);
    expect(gone).toMatchObject({ appliedBy: ['n1'], pending: [] });
  });

  test('is bounded, and says who has not', async () => {
    const postern = await testMaster({ convergenceMilliseconds: 30 });
    await postern.addMachine('n1');
    expect((await postern.enrol('ben@example.com')).result).toMatchObject({ appliedBy: [], pending: ['n1'] });
  });
});

describe('the snapshot', () => {
  test('is not sent again to who has it', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const get = (etag?: string | null) =>
      postern.fetch('/v1/agent/snapshot', {
        headers: { authorization: `Bearer ${agent}`, ...(etag ? { 'if-none-match': etag } : {}) },
      });
    const first = await get();
    const etag = first.headers.get('etag');
    const again = await get(etag);
    expect([again.status, await again.text()]).toEqual([304, '']);
    await postern.addPerson('new@example.com');
    expect((await get(etag)).status).toBe(200);
  });
});
