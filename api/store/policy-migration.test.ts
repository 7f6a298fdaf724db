import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrations } from './migrations.ts';
import { openStore } from './open.ts';
import { readSnapshot } from './snapshot.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-migration-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a database of before the language keeps its policy, as a document', () => {
  const path = join(folder, 'old.db');
  const old = new Database(path, { create: true });
  const before = migrations.findIndex((migration) => typeof migration !== 'string');
  for (const sql of migrations.slice(0, before)) old.run(sql as string);
  old.run(`PRAGMA user_version = ${before}`);
  const policy = {
    roles: [{ name: 'admin', includes: [] }],
    networks: [{ name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'br0' }], nat: true }],
    grants: [{ role: 'admin', target: { kind: 'network', network: 'internal' } }],
  };
  old
    .query(
      `INSERT INTO settings (id, epoch, revision, revised_at, pool, public_url, policy)
       VALUES (1, 3, 41, '2026-11-01T00:00:00.000Z', '10.91.64.0/18', 'https://vpn.example.com', ?)`,
    )
    .run(JSON.stringify(policy));
  old.close();

  const store = openStore(path);
  const snapshot = readSnapshot(store);
  expect(snapshot).toMatchObject({ epoch: 3, revision: 42, policy: { revision: 1 }, fronts: [] });
  expect(snapshot.policy.document).toContain('network internal = 172.19.0.0/16 via n1 dev br0\n');
  expect(snapshot.policy.document).toContain('allow admin -> internal\n');
  expect(existsSync(`${path}.before-${before + 1}`)).toBe(true);
  store.close();
  const again = openStore(path);
  expect(readSnapshot(again)).toEqual(snapshot);
  again.close();
});
