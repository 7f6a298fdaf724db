import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { Asked } from '../asked.ts';
import { makeKeys } from '../bare-tunnel.ts';
import type { Program } from '../program.ts';
import { expect, type Scenario } from '../scenario.ts';
import { quantile } from '../spread.ts';
import { type Cluster, clusterPolicy, openCluster } from './cluster.ts';
import { clusterTopology } from './cluster-world.ts';
import { stateDir } from './product.ts';

const listenerCount = 50;
const programs = join(import.meta.dir, '../programs');
const Milliseconds = v.pipe(v.number(), v.minValue(0));
const Times = v.strictObject({ p50_ms: Milliseconds, p99_ms: Milliseconds, max_ms: Milliseconds });
const Heard = v.object({ told: v.array(v.number()), held: v.array(v.number()) });

/** From the call that changes the policy; in ms. */
type Times = { told: number[]; delivered: number[]; applied: number[] };

export const converge: Scenario = {
  name: 'converge',
  description: 'how soon a change is with 50 agents that hold a channel, and in force on three nodes',
  topology: `${clusterTopology}  and on internet 50 agents that do nothing but hold their channel and fetch what it tells of
`,
  figures: v.strictObject({
    agents: v.number(),
    nodes: v.number(),
    changes: v.number(),
    told: Times,
    delivered: Times,
    applied: Times,
  }),
  async run({ lab, short, step }) {
    const cluster = await step('three nodes', () => openCluster(lab));
    const listeners = await step(`${listenerCount} agents that listen`, () => openListeners(cluster));
    const watching = await Promise.all(
      cluster.world.nodes.map(async ({ host }) => {
        const file = `${stateDir}/agent/high-water.json`;
        const program = host.start('applied', ['bun', join(programs, 'applied.ts'), file]);
        await program.says(/\d/);
        return program;
      }),
    );
    const changes = short ? 3 : 60;
    const times = await step(`${changes} changes of the policy`, async (note) => {
      const found: Times = { told: [], delivered: [], applied: [] };
      for (let count = 1; count <= changes; count += 1) await change(cluster, listeners, watching, count, found);
      note(`delivered p99 ${quantile(found.delivered, 0.99)} ms, in force p99 ${quantile(found.applied, 0.99)} ms`);
      return found;
    });
    return {
      agents: listenerCount,
      nodes: cluster.world.nodes.length,
      changes,
      told: summary(times.told),
      delivered: summary(times.delivered),
      applied: summary(times.applied),
    };
  },
};

const summary = (times: readonly number[]) => ({
  p50_ms: quantile(times, 0.5),
  p99_ms: quantile(times, 0.99),
  max_ms: quantile(times, 1),
});

async function openListeners({ world, master }: Cluster): Promise<Asked> {
  const listeners = [];
  for (let number = 1; number <= listenerCount; number += 1) {
    const { kty, crv, x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    const name = `listener${number}`;
    const { publicKey } = await makeKeys();
    const node = { name, publicKey, agentKey: x, endpoints: [`192.0.2.${100 + number}:51820`], priority: 1 };
    await master.owner.ask(NodeResource, 'POST', '/v1/nodes', node);
    listeners.push({ name, key: { kty, crv, x, d } });
  }
  const env = { LISTENERS: JSON.stringify(listeners) };
  return new Asked(world.internet, ['bun', join(programs, 'channels.ts'), master.url], { env });
}

/** One change, and when everybody had it. */
async function change(
  { world, master }: Cluster,
  listeners: Asked,
  watching: readonly Program[],
  count: number,
  found: Times,
): Promise<void> {
  await listeners.ask(Heard, { revision: 0 });
  const { etag } = await master.owner.call('GET', '/v1/policy');
  const document = `${clusterPolicy(world.nodes)}allow developer -> internal tcp/${1_000 + count}\n`;
  const answer = await master.owner.call('PUT', '/v1/policy', { document }, { 'if-match': etag ?? '' });
  expect(answer.status === 200, () => `PUT /v1/policy answered ${answer.status}: ${answer.text.slice(0, 1_000)}`);
  const Changed = v.object({ convergence: v.object({ revision: v.number() }) });
  const { revision } = v.parse(Changed, JSON.parse(answer.text)).convergence;
  const { told, held } = await listeners.ask(Heard, { revision });
  expect(held.length === listenerCount, () => `only ${held.length} of ${listenerCount} have revision ${revision}`);
  const applied = await Promise.all(
    watching.map(async (program) => {
      const [, at] = await program.says(new RegExp(`^([\\d.]+) ${revision}$`, 'm'));
      return Number(at);
    }),
  );
  const since = (moments: readonly number[]) => moments.map((at) => at - answer.sentAt);
  found.told.push(...since(told));
  found.delivered.push(...since(held));
  found.applied.push(...since(applied));
}
