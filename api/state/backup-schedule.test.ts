import { afterAll, expect, test } from 'bun:test';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newInstallation, removeStateDirs } from '../test-kit/processes.ts';
import { backUpWhenDue, keptBackups } from './backup-schedule.ts';

afterAll(removeStateDirs);

test('a backup is made once a day, and those of the last days stay', async () => {
  const { stateDir } = await newInstallation();
  const folder = join(stateDir, 'backups');
  const at = (hours: number) => new Date(Date.parse('2026-12-01T08:00:00.000Z') + hours * 3_600_000);
  const first = await backUpWhenDue(stateDir, at(0));
  expect(first).toBe(join(folder, 'postern-2026-12-01T08.00.00.000Z.backup'));
  expect(statSync(first ?? '').mode & 0o777).toBe(0o600);
  expect(await backUpWhenDue(stateDir, at(23))).toBeUndefined();
  for (const day of [1, 2, 3, 4, 5, 6]) {
    const name = `postern-${at(day * 24)
      .toISOString()
      .replaceAll(':', '.')}.backup`;
    writeFileSync(join(folder, name), '');
  }
  writeFileSync(join(folder, 'mine.txt'), 'kept');
  expect(await backUpWhenDue(stateDir, at(7 * 24))).toBeDefined();
  expect(existsSync(first ?? '')).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith('.backup'))).toHaveLength(keptBackups);
  expect(existsSync(join(folder, 'mine.txt'))).toBe(true);
});
