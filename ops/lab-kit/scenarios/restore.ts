import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { MasterStatus } from '#contract/life.ts';
import { Caller } from '../caller.ts';
import type { Host } from '../host.ts';
import { repository } from '../paths.ts';
import { type Context, expect, type Scenario } from '../scenario.ts';
import { addresses, machineAtHome } from './office.ts';
import * as product from './product.ts';
import * as world from './restore-world.ts';

const Milliseconds = v.pipe(v.number(), v.minValue(0));
const recoveryFile = '/root/recovery';
const backupFile = '/root/postern.backup';

export const restore: Scenario = {
  name: 'restore',
  description:
    'the master is lost and restored elsewhere while a tunnel carries on; the old one that comes back is refused',
  topology: world.topology,
  figures: v.object({
    restore_ms: Milliseconds,
    agents_followed_ms: Milliseconds,
    clients_followed_ms: Milliseconds,
    longest_gap_ms: Milliseconds,
  }),
  async run(context) {
    const { step, check } = context;
    const before = await prepare(context);
    const { machines, laptop } = before;
    const flow = await world.converse(laptop.host);
    const oldCode = await backUpAndGoOn(context, before);

    await step('n1 is lost: its programs are killed, its cable is cut', async () => {
      await machines.n1.kill9(/./);
      await machines.n1.ip('link set eth0 down');
    });
    const { figures, master } = await restoreElsewhere(context, before);

    await check('the same roster: the laptop has its address and key', async () => {
      const [device, ...others] = await product.devices(master);
      expect(others.length === 0, () => `there are others: ${others.map(({ name }) => name).join(', ')}`);
      expect(device?.address === laptop.device.address && device.publicKey === laptop.device.publicKey, () =>
        JSON.stringify(device),
      );
    });
    await check('what was revoked after the backup stays revoked, because n2 remembers', async (note) => {
      const { life } = await statusOf(master);
      const said = JSON.stringify(life?.aftermath);
      expect(life?.aftermath.revoked.map(({ name }) => name).join() === 'desk', () => said);
      expect(life?.aftermath.lostUsers.join() === 'late@example.com', () => said);
      note(said);
    });
    await check('neither node knows its key', async () => {
      for (const node of [machines.n2, machines.spare]) {
        const peers = await node.must(['wg', 'show', 'wg0', 'peers']);
        expect(peers.includes(laptop.device.publicKey), () => `${node.name} does not know the laptop`);
        expect(!peers.includes(before.desk.device.publicKey), () => `${node.name} knows the key of the desk`);
      }
    });
    await check('the laptop knows where the master is from now on', async () => {
      const device = await laptop.host.must(['cat', '/var/lib/postern-client/device.json']);
      expect(JSON.parse(device).master === master.url, () => device);
      expect(master.url.includes(world.spareAddress), () => master.url);
    });
    await check('a code of the old epoch lets nobody in', async () => {
      const { status, text } = await master.owner.call('POST', '/v1/enrolments', redemption(oldCode));
      expect(status === 404 && text.includes('code-unknown'), () => `${status} ${text}`);
    });
    await step('a new code lets a device in', async () => {
      const host = await machineAtHome(context.lab, machines, 'phone');
      const [ana] = await product.devices(master);
      await product.joinByHand(master, host, ana?.userId ?? '');
      expect((await product.fetchPage(host, addresses.intranet)) !== undefined, () => 'it does not get in');
    });
    if (!context.short) await tunnelToNewMachine(context, before, master);
    await oldComesBack(context, before, master);
    const longest_gap_ms = await step('the tunnel never stopped', async (note) => {
      const gap = await flow.end();
      note(`longest gap ${gap} ms`);
      return gap;
    });
    return { ...figures, longest_gap_ms };
  },
};

type Before = {
  machines: world.World;
  master: product.Master;
  laptop: product.Joined;
  desk: product.Joined;
  userId: string;
};

const statusOf = async ({ owner }: product.Master) => (await owner.ask(MasterStatus, 'GET', '/v1/master')).body;

function prepare({ lab, step }: Context): Promise<Before> {
  return step('a master, a second node with a service behind it, and two devices inside', async () => {
    const machines = await world.openWorld(lab);
    await product.up(machines.n1, '--recovery-file', recoveryFile);
    const master = await product.masterOn(machines.n1);
    const { rootThumbprint } = JSON.parse(await machines.n1.must(['cat', `${product.stateDir}/init.json`]));
    await world.addSecondNode(machines, master, rootThumbprint);
    const userId = await product.makeUser(master, 'ana@example.com', 'admin');
    const laptop = await product.joinByHand(master, await machineAtHome(lab, machines, 'laptop'), userId);
    const desk = await product.joinByHand(master, await machineAtHome(lab, machines, 'desk'), userId);
    return { machines, master, laptop, desk, userId };
  });
}

/** @returns a code that is open when the backup is made. */
async function backUpAndGoOn({ step }: Context, { machines, master, desk, userId }: Before): Promise<string> {
  const { n1, spare } = machines;
  return step('a backup is made and carried away; then a device is revoked and a user added', async (note) => {
    const { code } = await product.makeCode(master, userId);
    note((await n1.must(['postern', 'backup', 'create', backupFile])).trim());
    await n1.must(['postern', 'backup', 'verify', backupFile, '--recovery-file', recoveryFile]);
    await world.carryFile(n1, spare, backupFile);
    await world.carryFile(n1, spare, recoveryFile);
    await master.owner.call('DELETE', `/v1/devices/${desk.device.id}`);
    await product.makeUser(master, 'late@example.com', 'developer');
    const { revision } = await statusOf(master);
    await world.until('n2 has all of it', async () => (await n2Applied(master)) === revision);
    return code;
  });
}

async function n2Applied({ owner }: product.Master): Promise<number> {
  return JSON.parse((await owner.call('GET', '/v1/nodes/n2')).text).applied?.revision;
}

async function restoreElsewhere({ step }: Context, { machines, laptop }: Before) {
  const { spare, n2 } = machines;
  return step('ops/up --restore on a fresh machine that takes over the address', async (note) => {
    const asking = new Caller(machines.internet, `https://${addresses.node}:8443`);
    await world.take(machines, spare);
    const start = performance.now();
    const at = () => Math.round(performance.now() - start);
    const answered = world.until('it answers', async () => (await asking.call('GET', '/healthz')).status === 200);
    const [agentAt, clientAt, restore_ms, answeredAt] = await Promise.all([
      world.until('n2 follows', async () => (await world.epochOnNode(n2)) === 2),
      world.until('the laptop follows', async () => (await world.epochOnDevice(laptop.host)) === 2),
      restoreOn(spare).then(at),
      answered,
    ]);
    note(`the API answers ${answeredAt} ms after the command was typed`);
    const figures = {
      restore_ms,
      agents_followed_ms: Math.max(0, agentAt - answeredAt),
      clients_followed_ms: Math.max(0, clientAt - answeredAt),
    };
    return { figures, master: await product.masterOn(spare) };
  });
}

async function restoreOn(host: Host): Promise<void> {
  const elsewhere = ['--public-url', `https://${world.spareAddress}:8443`];
  const words = ['--detach', '--json', '--restore', backupFile, '--recovery-file', recoveryFile, ...elsewhere];
  await host.must([join(repository, 'ops/up'), ...words], { timeoutMs: 120_000 });
}

/** WireGuard on the laptop takes its time to see that the machine behind n1's address has forgotten the session. */
function tunnelToNewMachine({ step }: Context, { laptop }: Before, { owner }: product.Master): Promise<void> {
  return step('the fresh machine is n1 to the laptop, by the same key', async (note) => {
    const { tunnelAddress } = (await owner.ask(NodeResource, 'GET', '/v1/nodes/n1')).body;
    const ms = await world.until('n1 answers in the tunnel', () => world.probes(laptop.host, tunnelAddress));
    note(`it answers after another ${ms} ms`);
  });
}

/** It takes its address back. The nodes are told where the master is now, and nobody listens to the old one. */
async function oldComesBack(
  { step, check }: Context,
  { machines, laptop }: Before,
  master: product.Master,
): Promise<void> {
  const { n1, n2, spare } = machines;
  const old = await step('the old master comes back at the old address, and n2 asks it', async () => {
    await world.giveBack(machines, spare, n1);
    const serve = ['serve', '--state-dir', product.stateDir, '--listen', '0.0.0.0:8443'];
    n1.start('old-master', ['bun', join(repository, 'api/main.ts'), ...serve]);
    const caller = await product.masterOn(n1);
    await world.until('it serves', async () => (await caller.owner.call('GET', '/v1/users')).status === 200);
    await n2.kill9(/agent\/main\.ts run/);
    world.startAgent(n2);
    return caller;
  });
  await step('it learns from n2 that it is behind, and stands still', async (note) => {
    const health = () => old.owner.call('GET', '/healthz');
    await world.until('it says so', async () => (await health()).text.includes('stale-master'));
    const { status, text } = await old.owner.call('POST', '/v1/users', { email: 'x@example.com', role: 'admin' });
    expect(status === 503 && text.includes('stale-master'), () => `it takes changes: ${status} ${text}`);
    note(JSON.parse(text).detail);
  });
  await check('n2 and the laptop keep to the newer epoch', async () => {
    expect((await world.epochOnNode(n2)) === 2, () => 'n2 went back');
    expect((await world.epochOnDevice(laptop.host)) === 2, () => 'the laptop went back');
    expect((await product.fetchPage(laptop.host, addresses.intranet)) !== undefined, () => 'the intranet is gone');
  });
  await check('one command on n2, and it follows the restored master at another address', async () => {
    await world.agentOn(n2, 'configure', '--master', `https://${world.spareAddress}:8443`);
    await product.makeUser(master, 'new@example.com', 'developer');
    const { revision } = await statusOf(master);
    await world.until('n2 has the change', async () => (await n2Applied(master)) === revision);
  });
}

function redemption(code: string): object {
  const key = (encoding: 'base64' | 'base64url') => randomBytes(32).toString(encoding);
  return { code, publicKey: key('base64'), credentialKey: key('base64url'), deviceName: 'thief', platform: 'linux' };
}
