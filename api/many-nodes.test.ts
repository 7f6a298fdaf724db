import { describe, expect, test } from 'bun:test';
import type { NodeResource } from '#contract/admin.ts';
import type { AgentReport } from '#contract/agent.ts';
import { bundleOf } from './store/bundles.ts';
import { furnishMesh } from './store/network-settings.ts';
import { readSnapshot } from './store/snapshot.ts';
import { wireguardKey } from './test-kit/keys.ts';
import { testMaster } from './test-kit/master.ts';

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
