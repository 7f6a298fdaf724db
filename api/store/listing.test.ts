import { expect, test } from 'bun:test';
import { testMaster } from '../test-kit/master.ts';
import { pageOfCodes } from './codes.ts';
import { pageOfDevices } from './devices.ts';
import type { Asked } from './listing.ts';
import type { Store } from './open.ts';
import { pageOfUsers } from './users.ts';

const { store } = await testMaster();

/** How SQLite goes about what `read` asks it. */
function plansOf(read: (store: Store) => unknown): string[] {
  const asked: string[] = [];
  const query = (sql: string) => {
    asked.push(sql);
    return store.db.query(sql);
  };
  read({
    ...store,
    db: new Proxy(store.db, { get: (db, name) => (name === 'query' ? query : Reflect.get(db, name)) }),
  });
  return asked.flatMap((sql) =>
    store.db
      .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => detail),
  );
}

const late = <Sort extends string>(sort: Sort): Asked<Sort> => ({ sort, limit: 100, after: { at: 'x', id: 'y' } });

const now = new Date();

test.each<[string, (store: Store) => unknown]>([
  ['users by email', (store) => pageOfUsers(store, {}, late('email'))],
  ['users by createdAt', (store) => pageOfUsers(store, {}, late('-createdAt'))],
  ['devices by createdAt', (store) => pageOfDevices(store, {}, late('createdAt'))],
  ['devices by name', (store) => pageOfDevices(store, {}, late('-name'))],
  ['devices by address', (store) => pageOfDevices(store, {}, late('address'))],
  ['codes by createdAt', (store) => pageOfCodes(store, {}, late('-createdAt'), now)],
  ['codes by expiresAt', (store) => pageOfCodes(store, {}, late('expiresAt'), now)],
])('a late page of %s is found by an index, and nothing is sorted', (_, read) => {
  const plans = plansOf(read);
  expect(plans[0]).toMatch(/^SEARCH (?:users|devices|codes) USING (?:COVERING )?INDEX/);
  expect(plans.filter((plan) => plan.includes('TEMP B-TREE'))).toEqual([]);
});

test.each<[string, (store: Store) => unknown]>([
  ["a person's devices", (store) => pageOfDevices(store, { userId: 'x' }, late('createdAt'))],
  ['the devices of an e-mail address', (store) => pageOfDevices(store, { email: 'x' }, late('createdAt'))],
  ["a person's codes", (store) => pageOfCodes(store, { userId: 'x' }, late('createdAt'), now)],
])('%s are found without reading all', (_, read) =>
  expect(plansOf(read).filter((plan) => plan.startsWith('SCAN'))).toEqual([]),
);
