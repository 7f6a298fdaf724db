import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderUnit } from './services.ts';

const units = ['postern-agent.service', 'postern-master.service'];
const template = (unit: string) => readFileSync(join(import.meta.dir, 'systemd', unit), 'utf8');

describe('renderUnit', () => {
  test('fills in every place', () => {
    for (const unit of units)
      expect(renderUnit(template(unit), '/var/lib/postern', { listen: '0.0.0.0:8443', node: 'n1' })).not.toMatch(
        /@[A-Z]+@/,
      );
  });

  test('keeps a path with spaces, quotes and percent signs one word', () =>
    expect(renderUnit('ReadWritePaths=@STATE@', '/srv/50% "a\\b', { listen: '0.0.0.0:8443', node: 'n1' })).toBe(
      'ReadWritePaths="/srv/50%% \\"a\\\\b"',
    ));

  test.each([
    ['/var/lib/postern', /^\/(?:var\/)?tmp\//.test(import.meta.dir) ? 'no' : 'yes'],
    ['/tmp/trial', 'no'],
    ['/var/tmp/trial', 'no'],
  ])('hides the real /tmp only where nothing of ours is in it: with the state in %s %s', (stateDir, is) =>
    expect(renderUnit('PrivateTmp=@PRIVATETMP@', stateDir, { listen: '[::]:8443', node: 'n1' })).toBe(
      `PrivateTmp=${is}`,
    ),
  );

  test.skipIf(Bun.which('systemd-analyze') === null)('is what systemd takes (needs linux with systemd)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-units-'));
    const files = units.map((unit) => {
      const file = join(folder, unit);
      writeFileSync(file, renderUnit(template(unit), '/var/lib/postern', { listen: '[::]:8443', node: 'n1' }));
      return file;
    });
    const child = Bun.spawn(['systemd-analyze', 'verify', '--man=no', ...files], { stdout: 'pipe', stderr: 'pipe' });
    const said = (await child.stderr.text()).split('\n').filter((line) => line.includes('postern'));
    expect(said).toEqual([]);
    rmSync(folder, { recursive: true });
  });
});
