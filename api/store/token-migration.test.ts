import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { ApiToken } from '#contract/token.ts';
import { sha256Hex } from '../formats/hash.ts';
import { findBearer } from './api-tokens.ts';
import { migrations } from './migrations.ts';
import { openStore } from './open.ts';

test('a token from before tokens had names and ends works as it did', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-tokens-'));
  const path = join(folder, 'master.db');
  const db = new Database(path);
  for (const sql of migrations.slice(0, 3)) db.run(String(sql));
  db.run('PRAGMA user_version = 3');
  db.run(`INSERT INTO users VALUES ('u', 'ana@example.com', 'admin', 'owner', 0, '2026-01-01T00:00:00.000Z')`);
  for (const secret of ['pst_a', 'pst_b'])
    db.query('INSERT INTO api_tokens VALUES (?, ?, ?)').run(sha256Hex(secret), 'u', '2026-01-01T00:00:00.000Z');
  db.close();

  const store = openStore(path);
  const [a, b] = ['pst_a', 'pst_b'].map((secret) => findBearer(store, secret)?.token);
  expect(a).toEqual({
    id: expect.stringMatching(/^019b76da-a800-7/),
    name: 'first',
    userId: 'u',
    email: 'ana@example.com',
    permission: 'owner',
    areas: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    expiresAt: null,
    lastUsedAt: null,
  });
  expect(v.is(ApiToken.entries.id, a?.id)).toBe(true);
  expect(b?.id).not.toBe(a?.id);
  store.close();
  rmSync(folder, { recursive: true });
});
