import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '../formats/hash.ts';
import { joinLine } from './join-line.ts';

const script = 'echo "ran with $1 $2"\n';
const line = joinLine('https://vpn.example.com:8443', 'ROOT', sha256Hex(script));

/** Runs the line by a real shell; `curl` is a stand-in that delivers `delivered`, or reaches nobody. */
function run(delivered: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-join-'));
  if (delivered !== undefined) writeFileSync(join(folder, 'delivered'), delivered);
  writeFileSync(join(folder, 'curl'), `#!/bin/sh\ncp "${folder}/delivered" "$6" 2>/dev/null\n`, { mode: 0o755 });
  const child = Bun.spawnSync(['/bin/sh', '-c', line], {
    env: { PATH: `${folder}:${process.env.PATH}`, TMPDIR: folder },
  });
  rmSync(folder, { recursive: true });
  return { status: child.exitCode, said: `${child.stdout}${child.stderr}` };
}

describe('the join line', () => {
  test('runs the script it names, with the master and the root', () =>
    expect(run(script)).toEqual({ status: 0, said: 'ran with https://vpn.example.com:8443 ROOT\n' }));

  test('runs nothing else', () => {
    const swapped = run('echo owned\n');
    expect(swapped.status).not.toBe(0);
    expect(swapped.said).toContain('nothing was run');
    expect(swapped.said).not.toContain('owned');
  });

  test('runs nothing when the master is out of reach, and leaves the word to curl', () =>
    expect(run(undefined)).toEqual({ status: 1, said: '' }));

  test('starts an installed client where no script is served', () =>
    expect(joinLine('https://h:1', 'ROOT', undefined)).toBe('postern-client join --master https://h:1 --root ROOT'));
});
