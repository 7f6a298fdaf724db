import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { addUsers, invite, makeState, type State, startMaster } from '../bare-master.ts';
import { Caller } from '../caller.ts';
import { LabError } from '../command.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { repository } from '../paths.ts';
import { expect } from '../scenario.ts';
import { load } from './enrol.ts';
import { forgetKernelState } from './reboot.ts';

const agentState = '/var/lib/postern-node';
const rounds = 5;
const masterUrl = 'https://127.0.0.1:8443';
const program = (file: string, ...words: string[]) => ['bun', join(repository, file), ...words];

/**
 * A node that begins with nothing in its kernel and its snapshot on disk, with the master gone: how long until all its
 * devices are peers and the firewall is in force, in ms from the start of its program, its own start included. The
 * least disturbed of several.
 *
 * @throws when the tunnel is there at a moment at which the firewall is not.
 */
export async function coldStart(lab: Lab, devices: number): Promise<number> {
  const folder = mkdtempSync('/var/tmp/postern-cold-start-');
  try {
    const state = await makeState(join(folder, 'state'), '10.64.0.0/16');
    await fill(state, devices);
    const [node] = await lab.boot('cold');
    const agent = () => node.start('agent', program('agent/main.ts', 'run', '--state-dir', agentState));

    const listen = ['--listen', new URL(masterUrl).host];
    const master = node.start('master', program('api/main.ts', 'serve', '--state-dir', state.stateDir, ...listen));
    await master.says(/listening on/);
    await register(node, state);
    let running = agent();
    await untilReady(node, devices);
    await master.stop('SIGKILL');

    let fastest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round += 1) {
      await running.stop('SIGKILL');
      await node.kill9(/wireguard-go/);
      await forgetKernelState(node);
      const start = performance.now();
      running = agent();
      await untilReady(node, devices);
      fastest = Math.min(fastest, performance.now() - start);
    }
    return Math.round(fastest);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Before there is a node: nobody waits for one then. */
async function fill(state: State, devices: number): Promise<void> {
  const master = await startMaster(state);
  const userIds = await addUsers(
    master,
    Array.from({ length: 100 }, (_, i) => `user${i}`),
  );
  await load(master.url, await invite(master, userIds, devices), 1);
  await master.end();
}

async function register(node: Host, { ownerToken, rootThumbprint }: State): Promise<void> {
  const owner = new Caller(node, masterUrl, ownerToken);
  const Keys = v.object({ publicKey: v.string(), agentKey: v.string() });
  const said = await node.must(program('agent/main.ts', 'init', '--state-dir', agentState));
  const keys = v.parse(Keys, JSON.parse(said));
  await owner.ask(v.unknown(), 'POST', '/v1/nodes', { name: 'n1', ...keys, endpoints: ['198.51.100.10:51820'] });
  const words = ['--node', 'n1', '--master', masterUrl, '--root', rootThumbprint];
  await node.must(program('agent/main.ts', 'configure', '--state-dir', agentState, ...words));
}

const patienceMs = 60_000;

/** Peers are the last to come, and to count them costs the node time: that is done seldom, and not before the rest is there. */
async function untilReady(node: Host, devices: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    if ((await node.run(['ip', 'link', 'show', 'wg0'])).exitCode === 0) {
      const [first] = (await node.must(['iptables', '-S', 'FORWARD'])).split('\n').slice(1);
      expect(first?.endsWith('-j POSTERN-FORWARD') === true, () => `the tunnel is there, and first is ${first}`);
      if ((await members(node)) === devices) {
        if ((await peers(node)) === devices) return;
        await Bun.sleep(150);
      }
    }
    await Bun.sleep(50);
  }
  throw new LabError(`the node was not ready after ${patienceMs} ms`);
}

async function peers(node: Host): Promise<number> {
  return (await node.must(['wg', 'show', 'wg0', 'peers'])).split('\n').length - 1;
}

async function members(node: Host): Promise<number> {
  const sets = await node.must(['ipset', 'list', '-terse']);
  return Number(/^Name: postern-\S*members$[\s\S]*?^Number of entries: (\d+)/m.exec(sets)?.[1]);
}
