import { describe, expect, test } from 'bun:test';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from './log.ts';

describe('what the agent says', () => {
  test('is JSON with the fields of the master where no terminal is', () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-log-'));
    const path = join(folder, 'log');
    const fd = openSync(path, 'w');
    openLog({ fd, isTTY: false, write: () => {} })('the channel to the "master" is open');
    closeSync(fd);
    const line = JSON.parse(readFileSync(path, 'utf8'));
    expect(line).toMatchObject({ level: 30, program: 'agent', msg: 'the channel to the "master" is open' });
    expect(Math.abs(line.time - Date.now())).toBeLessThan(60_000);
    rmSync(folder, { recursive: true });
  });

  test('is a plain line on a terminal', () => {
    let said = '';
    const write = (text: string) => {
      said += text;
    };
    openLog({ fd: -1, isTTY: true, write })('closed');
    expect(said).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z closed\n$/);
  });
});
