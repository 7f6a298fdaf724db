import { join } from 'node:path';
import * as v from 'valibot';
import type { Host } from '../host.ts';
import { expect } from '../scenario.ts';
import { type Spread, spreadOf } from '../spread.ts';
import type { Cluster } from './cluster.ts';
import type { Fault } from './cluster-faults.ts';
import { type Landmarks, nodeOf, settled } from './cluster-state.ts';
import { lan } from './cluster-world.ts';
import type { Ways } from './failover-trial.ts';

/**
 * What becomes of TCP connections that are open when the active node dies: each must end, or go on, soon. With NAT they
 * go to the intranet; without, to the archive, whose LAN leads back by the node that the device is on, as a router there
 * has to see to.
 */
export type Flows = Record<'clean' | 'relay', Record<'tcp_nat' | 'tcp_no_nat', Spread>>;

const observedMs = 6_000;
export const flowGoalMs = 2_000;
const program = join(import.meta.dir, '../programs/conversation.ts');
const Summary = v.object({ heard: v.number(), longestGapMs: v.number(), silentMs: v.number(), how: v.string() });

export async function tryFlows(
  cluster: Cluster,
  landmarks: Landmarks,
  ways: Ways,
  fault: Fault,
  repetitions: number,
  note: (said: string) => void,
): Promise<Flows> {
  const hosts = { clean: ways.clean.host, relay: ways.relay.host };
  const times = { clean: { tcp_nat: [], tcp_no_nat: [] }, relay: { tcp_nat: [], tcp_no_nat: [] } } as Times;
  const ends = new Map<string, number>();
  for (let count = 0; count < repetitions; count += 1) {
    const victim = await settled(cluster, landmarks, [hosts.clean, hosts.relay]);
    await leadBack(cluster, landmarks, hosts.clean);
    const open = await Promise.all(
      (['clean', 'relay'] as const).flatMap((way) =>
        (['tcp_nat', 'tcp_no_nat'] as const).map(async (kind) => ({
          way,
          kind,
          end: await converse(hosts[way], kind === 'tcp_nat' ? lan.intranet : lan.archive),
        })),
      ),
    );
    await Bun.sleep(500 + 2_000 * Math.random());
    await fault.begin(victim);
    const over = Date.now() + observedMs;
    while (Date.now() < over) {
      await leadBack(cluster, landmarks, hosts.clean);
      await Bun.sleep(100);
    }
    for (const { way, kind, end } of open) {
      const { ms, how } = await end();
      times[way][kind].push(ms);
      ends.set(how, (ends.get(how) ?? 0) + 1);
    }
    await fault.end(victim);
  }
  note([...ends].map(([how, count]) => `${count} ${how}`).join(', '));
  const of = (way: 'clean' | 'relay') => ({
    tcp_nat: spreadOf(times[way].tcp_nat),
    tcp_no_nat: spreadOf(times[way].tcp_no_nat),
  });
  return { clean: of('clean'), relay: of('relay') };
}

type Times = Record<'clean' | 'relay', Record<'tcp_nat' | 'tcp_no_nat', number[]>>;

/** What a router of the service LAN does: devices are behind the node that they are on. */
async function leadBack({ world }: Cluster, landmarks: Landmarks, device: Host): Promise<void> {
  const node = await nodeOf(device, landmarks);
  if (node === undefined) return;
  await world.archive.ip(`route replace ${landmarks.pool} via ${node.plainAddress}`);
}

/** How long the flow stood still before it went on, or before both ends knew that it was over. */
async function converse(from: Host, address: string): Promise<() => Promise<{ ms: number; how: string }>> {
  const conversation = from.start(`flow-${address}-${Date.now()}`, ['bun', program, address, '7000']);
  await conversation.says(/running/);
  return async () => {
    await conversation.stop('SIGTERM');
    const said = conversation.output().trimEnd().split('\n').at(-1) ?? '';
    const { heard, longestGapMs, silentMs, how } = v.parse(Summary, JSON.parse(said));
    expect(heard > 5, () => `the flow had hardly begun: ${said}`);
    return how === 'unbroken' ? { ms: Math.max(longestGapMs, silentMs), how } : { ms: silentMs, how };
  };
}
