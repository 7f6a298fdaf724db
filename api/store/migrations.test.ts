import { Database } from 'bun:sqlite';
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDevice } from './devices.ts';
import { openStore } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-migrations-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a database of the first release keeps its devices', () => {
  const path = join(folder, 'first.db');
  const first = new Database(path, { create: true });
  first.run(readFileSync(join(import.meta.dir, 'migrations/0001-roster.sql'), 'utf8'));
  first.run(`
    INSERT INTO settings VALUES (1, 1, 1, '2026-01-01T00:00:00.000Z', '10.91.64.0/18', 'https://x', '{"roles":[],"networks":[],"grants":[]}');
    INSERT INTO users VALUES ('u', 'ana@example.com', 'admin', 'owner', 0, '2026-01-01T00:00:00.000Z');
    INSERT INTO codes VALUES ('c', 'u', 'h', 'b', '2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', '2026-01-01T00:00:00.000Z', NULL),
      ('d', 'u', 'i', 'b', '2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', NULL, NULL);
    INSERT INTO devices VALUES
      ('registered', 'u', 'c', 'laptop', 'linux', 'k', 'q', 173752384, '2026-01-01T00:00:00.000Z', '2026-01-01T00:10:00.000Z', '2026-01-01T00:00:01.000Z', 1, 1, '2026-01-01T00:00:00.000Z', '{}'),
      ('reserved', 'u', 'd', 'phone', 'linux', 'l', 'r', 173752385, '2026-01-01T00:00:00.000Z', '2026-01-01T00:10:00.000Z', NULL, NULL, 1, '2026-01-01T00:00:00.000Z', '{}');
    PRAGMA user_version = 1;`);
  first.close();
  const store = openStore(path);
  expect(findDevice(store, 'registered')).toMatchObject({ name: 'laptop', kind: 'managed', expiresAt: null });
  expect(store.db.query('SELECT id FROM devices ORDER BY id').values()).toEqual([['registered'], ['reserved']]);
  store.close();
});
