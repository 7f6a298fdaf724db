import { expect, test } from 'bun:test';
import { compactVerify } from 'jose';
import type { CachedBundle } from '#contract/agent.ts';
import { testMaster } from './test-kit/master.ts';

const payload = async (jws: string, key: CryptoKey) =>
  JSON.parse(new TextDecoder().decode((await compactVerify(jws, key)).payload));

test('from a user to a device in the snapshot', async () => {
  const postern = await testMaster();
  const n1 = await postern.addMachine('n1');
  const { user, device, lease, result } = await postern.enrol('ben@example.com');

  expect(lease.address).toBe('10.91.64.64');
  expect(result).toMatchObject({ appliedBy: [], pending: ['n1'], deviceId: lease.id });
  const bundle = await payload(result.bundle, postern.keys.bundles.verify);
  expect(bundle).toMatchObject({
    deviceKey: device.request.publicKey,
    address: '10.91.64.64',
    pool: '10.91.64.0/18',
    networks: [{ name: 'devices', cidr: '10.91.64.0/18', nodes: ['n1'] }],
  });

  const agent = await postern.tokenFor('agent', 'n1', n1.key);
  const answer = await postern.send('GET', '/v1/agent/snapshot', agent);
  const snapshot = await payload(answer.body, postern.keys.snapshots.verify);
  expect(answer.headers.get('etag')).toBe(`"1-${snapshot.revision}-${postern.keys.snapshots.kid.slice(0, 8)}"`);
  expect(snapshot.nodes).toMatchObject([{ name: 'n1', tunnelAddress: '10.91.64.2' }]);
  expect(snapshot.devices).toEqual([
    {
      id: lease.id,
      userId: user.id,
      name: 'laptop',
      publicKey: device.request.publicKey,
      address: '10.91.64.64',
      bundleRevision: bundle.revision,
    },
  ]);
  const { items } = await postern.ask<{ items: CachedBundle[] }>(200, 'GET', '/v1/agent/bundles?after=0', agent);
  expect(items).toEqual([{ publicKey: device.request.publicKey, revision: bundle.revision, bundle: result.bundle }]);
  const own = await postern.tokenFor('device', result.deviceId, device.key);
  expect((await postern.send('GET', '/v1/device/bundle', own)).body).toBe(result.bundle);
});
