import { expect, test } from 'bun:test';
import { endGrants } from './store/policy-changes.ts';
import { readSnapshot } from './store/snapshot.ts';
import { testMaster } from './test-kit/master.ts';
import { policyOf } from './test-kit/policy.ts';

const document = [
  'role developer',
  'role admin includes developer',
  'network sandbox = 172.17.0.0/16 via n1 dev docker0',
  'allow developer -> devices',
  'allow ben@example.com -> sandbox until 2026-12-01T09:00Z',
  'allow developer -> sandbox tcp/22 until 2026-12-02',
];

test('grants that run out leave the bundles at their time, once, and it is written down', async () => {
  const postern = await testMaster();
  await postern.addMachine('n1');
  await policyOf(postern).put(document);
  const ben = await postern.enrol('ben@example.com');
  const cat = await postern.enrol('cat@example.com');
  const state = () => {
    const { revision, devices, policy } = readSnapshot(postern.store);
    const bundleOf = (id: string) => devices.find((device) => device.id === id)?.bundleRevision;
    return { revision, ben: bundleOf(ben.lease.id), cat: bundleOf(cat.lease.id), policy: policy.revision };
  };
  const end = () => endGrants(postern.store, postern.clock.now);
  const before = state();
  expect(end()).toBe(false);
  postern.wait(3_600);
  expect([end(), end()]).toEqual([true, false]);
  // The other line still leads there, so no bundle says anything else.
  expect(state()).toEqual({ ...before, revision: before.revision + 1 });

  postern.wait(48 * 3_600);
  expect([end(), end()]).toEqual([true, false]);
  const revision = before.revision + 2;
  expect(state()).toEqual({ revision, ben: revision, cat: revision, policy: before.policy });
  const audited = postern.store.db.query(`SELECT detail FROM audit WHERE act = 'policy.run-out' ORDER BY id`).all();
  expect(audited.map((row) => JSON.parse((row as { detail: string }).detail).lines)).toEqual([
    [{ line: 5, text: document[4] }],
    [{ line: 6, text: document[5] }],
  ]);
});

test('what ran out while another document was in force, or before it came, is no news', async () => {
  const postern = await testMaster();
  await postern.addMachine('n1');
  const policy = policyOf(postern);
  await policy.put(document);
  postern.wait(72 * 3_600);
  // Putting a document in force closes first what has run out by then.
  await policy.put([...document, '# again']);
  const { revision } = readSnapshot(postern.store);
  expect(endGrants(postern.store, postern.clock.now)).toBe(false);
  expect(readSnapshot(postern.store).revision).toBe(revision);
  expect((await policy.read()).warnings.map(({ code }) => code)).toContain('run-out');
});
