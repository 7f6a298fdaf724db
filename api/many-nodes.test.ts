import { describe, expect, test } from 'bun:test';
import type { NodeResource } from '#contract/admin.ts';
import type { AgentReport } from '#contract/agent.ts';
import type { RecordedOutage } from '#contract/outage.ts';
import { bundleOf } from './store/bundles.ts';
import { furnishMesh } from './store/network-settings.ts';
import { readSnapshot } from './store/snapshot.ts';
import { wireguardKey } from './test-kit/keys.ts';
import { start, testMaster } from './test-kit/master.ts';

describe('what nodes and devices are told', () => {
  test('holds the mesh, the address that moves, and the internal domain', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const key = wireguardKey();
    const mesh = { publicKey: key, endpoints: ['198.51.100.1:51821'] };
    const agentKey = (await postern.newDevice()).request.credentialKey;
    const node = { name: 'n2', publicKey: wireguardKey(), agentKey, endpoints: ['198.51.100.2:51820'], mesh };
    const added = await postern.ask<NodeResource>(201, 'POST', '/v1/nodes', postern.ownerToken, node);
    const ben = await postern.enrol('ben@example.com');

    const snapshot = readSnapshot(postern.store);
    expect(snapshot).toMatchObject({
      vip: '10.91.64.1',
      mesh: { advertMilliseconds: 200 },
      dns: { domain: 'corp.internal', upstreams: [] },
    });
    const [first, second] = snapshot.nodes;
    expect(first?.mesh).toBeUndefined();
    const subnet = snapshot.mesh?.cidr.replace(/\.0\/24$/, '') ?? '';
    expect(second?.mesh).toEqual({ ...mesh, address: `${subnet}.3` });
    expect(added.mesh).toEqual({ ...mesh, address: `${subnet}.3` });
    expect(second?.tunnelAddress).toBe('10.91.64.3');
    expect(bundleOf(postern.store, ben.lease.id)?.content).toMatchObject({
      vip: '10.91.64.1',
      domain: 'corp.internal',
      nodes: snapshot.nodes,
    });
  });

  test('comes to an installation from before there was a mesh once, when its master starts', async () => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    postern.store.db.run('UPDATE settings SET mesh = NULL');
    postern.store.db.run(`UPDATE devices SET bundle_digest = 'of before'`);
    const before = readSnapshot(postern.store);
    expect([before.mesh, before.vip, before.dns]).toEqual([undefined, undefined, undefined]);
    furnishMesh(postern.store, postern.clock.now);
    const after = readSnapshot(postern.store);
    expect(after.mesh?.cidr).toMatch(/^10\.\d+\.\d+\.0\/24$/);
    expect(after.revision).toBe(before.revision + 1);
    expect(bundleOf(postern.store, ben.lease.id)).toMatchObject({
      revision: after.revision,
      content: { vip: after.vip },
    });
    furnishMesh(postern.store, postern.clock.now);
    expect(readSnapshot(postern.store)).toEqual(after);
  });
});

test('a node is shown as its agent last said it is', async () => {
  const postern = await testMaster();
  const n1 = await postern.addMachine('n1');
  const agent = await postern.tokenFor('agent', 'n1', n1.key);
  const show = () => postern.ask<NodeResource>(200, 'GET', '/v1/nodes/n1', postern.ownerToken);
  expect(await show()).toMatchObject({
    mesh: null,
    draining: false,
    vrrp: null,
    vip: null,
    healthy: null,
    reasons: [],
  });
  const reports: [Partial<AgentReport>, Partial<NodeResource>][] = [
    [
      { vrrp: 'MASTER', vip: true, health: { healthy: true, reasons: [] } },
      { vrrp: 'MASTER', vip: true, healthy: true, reasons: [] },
    ],
    [
      { vrrp: 'FAULT', vip: false, health: { healthy: false, reasons: ['wg0 does not forward'] } },
      { vrrp: 'FAULT', vip: false, healthy: false, reasons: ['wg0 does not forward'] },
    ],
    [{}, { vrrp: null, vip: null, healthy: null, reasons: [] }],
  ];
  for (const [said, shown] of reports) {
    await postern.ask(204, 'POST', '/v1/agent/reports', agent, { drift: [], ...said });
    expect(await show()).toMatchObject(shown);
  }
});

describe('the settings', () => {
  test.each([
    [{ domain: 'intern.example' }, { dns: { domain: 'intern.example' } }, { domain: 'intern.example' }],
    [{ upstreams: ['9.9.9.9'] }, { dns: { upstreams: ['9.9.9.9'] } }, undefined],
    [{ advertMilliseconds: 500 }, { mesh: { advertMilliseconds: 500 } }, undefined],
    [{ mesh: '10.213.7.0/24' }, { mesh: { cidr: '10.213.7.0/24' } }, undefined],
  ])('%j are told to nodes, and to devices what concerns them', async (change, told, shown) => {
    const postern = await testMaster();
    const ben = await postern.enrol('ben@example.com');
    const { revision } = readSnapshot(postern.store);
    for (let again = 0; again < 2; again++)
      expect(await postern.ask(200, 'PATCH', '/v1/settings', postern.ownerToken, change)).toMatchObject(change);
    expect(readSnapshot(postern.store)).toMatchObject({ revision: revision + 1, ...told });
    const bundle = bundleOf(postern.store, ben.lease.id);
    expect(bundle?.revision === revision + 1).toBe(shown !== undefined);
    expect(bundle?.content).toMatchObject(shown ?? {});
    expect(postern.store.db.query("SELECT act FROM audit WHERE act = 'settings.change'").all()).toHaveLength(1);
  });

  test.each([
    [{ mesh: '10.91.65.0/24' }, 409],
    [{ mesh: '172.19.7.0/24' }, 409],
    [{ mesh: '10.213.0.0/16' }, 422],
    [{ domain: 'localhost' }, 422],
    [{ advertMilliseconds: 205 }, 422],
    [{ upstreams: ['::1'] }, 422],
    [{ vip: '10.91.64.9' }, 422],
  ])('%j is refused with %d', async (change, status) => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const network = { name: 'lan', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth1' }] };
    await postern.ask(201, 'POST', '/v1/networks', postern.ownerToken, network);
    const before = readSnapshot(postern.store);
    expect((await postern.send('PATCH', '/v1/settings', postern.ownerToken, change)).status).toBe(status);
    expect(readSnapshot(postern.store)).toEqual(before);
  });
});

describe('outages', () => {
  const at = (seconds: number) => new Date(start.getTime() + seconds * 1000).toISOString();
  const felt = { from: 'n1', to: 'n2', cause: 'silent', gapMilliseconds: 640 } as const;

  test('are kept once each as they were reported, of devices that are known', async () => {
    const postern = await testMaster();
    const n2 = await postern.addMachine('n2');
    const ben = await postern.enrol('ben@example.com');
    const agent = await postern.tokenFor('agent', 'n2', n2.key);
    const { publicKey } = ben.device.request;
    const report = (...outages: object[]) =>
      postern.ask(204, 'POST', '/v1/agent/reports', agent, { drift: [], outages });
    const { revision } = readSnapshot(postern.store);
    await report({ publicKey, at: at(0), ...felt });
    await report({ publicKey, at: at(0), ...felt }, { publicKey, at: at(5), ...felt, from: 'n3', cause: 'draining' });
    await report({ publicKey: wireguardKey(), at: at(9), ...felt });
    expect(readSnapshot(postern.store).revision).toBe(revision);

    const list = async (query = '') =>
      (await postern.ask<{ items: RecordedOutage[] }>(200, 'GET', `/v1/outages${query}`, postern.ownerToken)).items;
    const [second, first] = await list();
    expect(first).toEqual({ id: 1, deviceId: ben.lease.id, device: 'laptop', at: at(0), ...felt, reportedBy: 'n2' });
    expect(second).toMatchObject({ at: at(5), from: 'n3', cause: 'draining' });
    for (const [query, ids] of [
      ['?sort=id', [0, 5]],
      ['?node=n1', [0]],
      ['?node=n2', [5, 0]],
      ['?cause=draining', [5]],
      [`?deviceId=${ben.lease.id}&since=${at(1)}`, [5]],
      [`?until=${at(5)}`, [0]],
      ['?node=n9', []],
    ] as const)
      expect([query, (await list(query)).map((outage) => outage.at)]).toEqual([query, ids.map(at)]);
    const page = await postern.ask<{ nextCursor: string; total: number }>(
      ...([200, 'GET', '/v1/outages?limit=1', postern.ownerToken] as const),
    );
    expect(page.total).toBe(2);
    expect((await list(`?limit=1&cursor=${page.nextCursor}`)).map((outage) => outage.at)).toEqual([at(0)]);
    const figures = (await postern.master.metrics.expose()).text;
    expect(figures).toContain('postern_outage_gap_seconds_count{cause="silent"} 1');
  });

  test('of one device are the newest 200, and webhooks hear once of each report', async () => {
    const postern = await testMaster();
    const n2 = await postern.addMachine('n2');
    const ben = await postern.enrol('ben@example.com');
    const hook = { name: 'pager', url: 'https://hooks.example.com/in', events: ['failover'] };
    await postern.ask(201, 'POST', '/v1/webhooks', postern.ownerToken, hook);
    const agent = await postern.tokenFor('agent', 'n2', n2.key);
    const { publicKey } = ben.device.request;
    const outages = Array.from({ length: 230 }, (_, i) => ({ publicKey, at: at(i), ...felt }));
    await postern.ask(204, 'POST', '/v1/agent/reports', agent, { drift: [], outages });
    await postern.ask(204, 'POST', '/v1/agent/reports', agent, { drift: [], outages });
    const kept = postern.store.db.query<{ at: string }, []>('SELECT at FROM outages ORDER BY number').all();
    expect([kept.length, kept[0]?.at, kept.at(-1)?.at]).toEqual([200, at(30), at(229)]);
    const told = postern.store.db.query<{ payload: string }, []>('SELECT payload FROM webhook_deliveries').all();
    expect(told).toHaveLength(1);
    expect(told.map(({ payload }) => JSON.parse(payload))[0]).toMatchObject({
      type: 'failover',
      data: { subject: 'n1', outages: 200, devices: 1, longestGapMilliseconds: 640 },
    });
  });
});
