/**
 * Says which peer of a WireGuard interface an address belongs to, now and whenever that changes: `bun owner.ts INTERFACE
 * ADDRESS`. A line is `AT KEY`, at in ms since 1970; the key is `-` while it is nobody's.
 */
import { setTimeout as pause } from 'node:timers/promises';

const [name = '', address = ''] = process.argv.slice(2);
const everyMs = 50;
let last = '';

for (;;) {
  const { stdout } = Bun.spawnSync(['wg', 'show', name, 'allowed-ips'], { stderr: 'ignore' });
  const peers = stdout.toString().trim().split('\n');
  const owner = peers.find((line) => line.split(/\s+/).slice(1).includes(`${address}/32`))?.split(/\s/)[0] ?? '-';
  if (owner !== last) console.log(`${performance.timeOrigin + performance.now()} ${owner}`);
  last = owner;
  await pause(everyMs);
}
