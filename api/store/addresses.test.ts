import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { ipv4ToNumber } from '#contract/network.ts';
import { poolPlan } from '../decisions/addresses.ts';
import { testMaster } from '../test-kit/master.ts';
import { freeDeviceAddress, freeNodeAddress, restAddress } from './addresses.ts';
import type { Store } from './open.ts';

const pool = '10.0.0.0/24';
const { devices, nodes } = poolPlan(pool);

/** Takes an address for a device of nobody's, in the place where enrolments put theirs. */
function take(store: Store, address: number): void {
  store.write(() => {
    store.db.run('PRAGMA defer_foreign_keys = ON');
    const id = crypto.randomUUID();
    store.db.run(
      `INSERT INTO users (id, email, role, permission, created_at) VALUES ('${id}', '${id}', 'developer', 'none', '')`,
    );
    store.db.run(`INSERT INTO codes (id, user_id, hash, backing, created_at, expires_at)
      VALUES ('${id}', '${id}', '${id}', '', '', '')`);
    store.db.run(`INSERT INTO devices (id, user_id, code_id, name, platform, public_key, credential_key, address,
        leased_at, leased_until, registered_at, bundle_revision, bundle_issued_at, bundle_digest)
      VALUES ('${id}', '${id}', '${id}', '', 'linux', '${id}', '${id}', ${address}, '', '', '', 1, '', '{}')`);
  });
}

const free = (store: Store, address: number) =>
  store.write(() => store.db.query('DELETE FROM devices WHERE address = ?').run(address));

test('the lowest free address is found whatever was taken, freed or rests before', async () => {
  // Few, so that the same ones are taken, freed and passed by.
  const address = fc.integer({ min: devices.first, max: devices.first + 30 });
  const change = fc.oneof(
    fc.record({ kind: fc.constant('next' as const), count: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constantFrom('free' as const, 'take' as const, 'rest' as const, 'rested' as const), address }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 20 }), async (changes) => {
      const { store, addMachine } = await testMaster({ pool });
      // A node that never reports: what rests goes on resting.
      await addMachine('n1');
      const taken = new Set<number>();
      const resting = new Set<number>();
      const lowest = () => {
        for (let at = devices.first; at <= devices.last; at++) if (!taken.has(at) && !resting.has(at)) return at;
        return undefined;
      };
      const takeNext = () => {
        const next = store.write(() => freeDeviceAddress(store));
        expect(next).toBe(lowest());
        if (next === undefined) return;
        take(store, next);
        taken.add(next);
      };
      for (const one of changes) {
        if (one.kind === 'next') for (let i = 0; i < one.count; i++) takeNext();
        else if (one.kind === 'free') {
          free(store, one.address);
          taken.delete(one.address);
        } else if (one.kind === 'rest') {
          store.write(() => restAddress(store, one.address, 1_000_000));
          resting.add(one.address);
        } else if (one.kind === 'rested') {
          store.write(() => store.db.query('DELETE FROM resting_addresses WHERE address = ?').run(one.address));
          resting.delete(one.address);
        } else if (!taken.has(one.address)) {
          take(store, one.address);
          taken.add(one.address);
        }
      }
      takeNext();
      store.close();
    }),
    { numRuns: 30 },
  );
});

test('an address far below the search is found once its rest is over', async () => {
  const { store } = await testMaster({ pool });
  for (let i = 0; i < 40; i++) take(store, devices.first + i);
  store.write(() => restAddress(store, devices.first + 3, 1));
  free(store, devices.first + 3);
  store.db.run(`INSERT INTO nodes (name, public_key, agent_key, endpoints, tunnel_address, priority, added_revision)
    VALUES ('n1', 'k', 'a', '[]', ${nodes.first}, 1, 0)`);
  const next = () => store.write(() => freeDeviceAddress(store));
  expect(next()).toBe(devices.first + 40);
  store.write(() => store.db.run('UPDATE nodes SET applied_epoch = 1, applied_revision = 1'));
  expect(next()).toBe(devices.first + 3);
});

test('nodes have their own part of the pool', async () => {
  const { store, addMachine } = await testMaster({ pool });
  expect(freeNodeAddress(store)).toBe(nodes.first);
  await addMachine('n1');
  expect(freeNodeAddress(store)).toBe(ipv4ToNumber('10.0.0.3'));
});
