import { describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Vrrp } from '#policies/desired/vrrp.ts';
import { keepalivedDaemon, renderKeepalived, trackFiles } from './keepalived.ts';

const vrrp: Vrrp = {
  node: 'n1',
  address: '10.90.0.1',
  others: ['10.90.0.2', '10.90.0.3'],
  priority: 200,
  advertMilliseconds: 200,
  vip: '10.91.0.1',
};
const place = { directory: '/var/lib/postern/agent/services', tunnel: 'wg0', mesh: 'wg-mesh' };

describe('the configuration of keepalived', () => {
  test('is as it was', async () =>
    expect(renderKeepalived(vrrp, place)).toBe(
      await Bun.file(join(import.meta.dir, 'fixture/keepalived.expected')).text(),
    ));

  test.each([
    [200, '0.2'],
    [1_000, '1'],
    [250, '0.25'],
    [3, '0.01'],
  ])('an advertisement each %i ms', (advertMilliseconds, expected) =>
    expect(renderKeepalived({ ...vrrp, advertMilliseconds }, place)).toContain(`  advert_int ${expected}\n`),
  );

  test.skipIf(Bun.which('keepalived') === null).each([
    ['as it is', vrrp, 0],
    ['with five', { ...vrrp, others: [...vrrp.others, '10.90.0.4', '10.90.0.5'], priority: 40 }, 0],
    ['with an address that is none', { ...vrrp, others: ['10.90.0.x'] }, 5],
  ])('keepalived takes it %s', async (_, given, status) => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-keepalived-'));
    const { config, check } = keepalivedDaemon(given, { ...place, directory });
    await mkdir(join(directory, 'keepalived'));
    const { health, isolation } = trackFiles(directory);
    for (const path of [health, isolation]) await writeFile(path, '0\n');
    await writeFile(config.path, config.content, { mode: 0o600 });
    const child = Bun.spawn([...check(config.path)], { stdout: 'pipe', stderr: 'pipe' });
    const said = `${await child.stdout.text()}${await child.stderr.text()}`;
    expect({ status: await child.exited, said: status === 0 ? said : '' }).toEqual({ status, said: '' });
    await rm(directory, { recursive: true });
  });
});
