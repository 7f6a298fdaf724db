import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { Health, NetworkResource, NodeResource } from '#contract/admin.ts';
import { type Context, expect, median, type Scenario } from '../scenario.ts';
import { addresses, machineAtHome, machineInCafe, type Office, officeTopology, openOffice } from './office.ts';
import * as measure from './onboarding-measures.ts';
import type { Joined, Master } from './product.ts';
import * as product from './product.ts';
import { nodeState, reboot } from './reboot.ts';

const Milliseconds = v.pipe(v.number(), v.minValue(0));
const repetitions = 5;

export const onboarding: Scenario = {
  name: 'onboarding',
  description: 'one code, one line: a laptop behind a NAT is inside, reaches what it may, and is out when revoked',
  topology: officeTopology,
  figures: v.object({
    join_ms: Milliseconds,
    handshake_ms: Milliseconds,
    bundle_refresh_ms: Milliseconds,
    commit_to_applied_ms: Milliseconds,
    revoke_to_last_packet_ms: Milliseconds,
  }),
  async run(context) {
    const office = await context.step('hosts, NAT routers and internal services are there', async () => {
      const opened = await openOffice(context.lab);
      await measure.openSites(opened);
      return opened;
    });
    const installed = await install(context, office);
    const people = await context.step('the owner makes an admin and a developer', async () => ({
      admin: await product.makeUser(installed, 'ana@example.com', 'admin'),
      developer: await product.makeUser(installed, 'ben@example.com', 'developer'),
    }));
    const laptop = await compareAccess(context, office, installed, people);
    const master = await restart(context, office, installed, laptop);

    const rounds: Round[] = [];
    for (let round = 1; round <= (context.short ? 1 : repetitions); round += 1) {
      rounds.push(await lifeOfADevice(context, office, master, people.admin, `laptop${round}`));
    }
    const middle = (name: keyof Round) => median(rounds.map((round) => round[name]));
    return {
      join_ms: middle('join_ms'),
      handshake_ms: middle('handshake_ms'),
      bundle_refresh_ms: middle('bundle_refresh_ms'),
      commit_to_applied_ms: middle('commit_to_applied_ms'),
      revoke_to_last_packet_ms: middle('revoke_to_last_packet_ms'),
    };
  },
};

type People = { admin: string; developer: string };
type Round = {
  join_ms: number;
  handshake_ms: number;
  bundle_refresh_ms: number;
  commit_to_applied_ms: number;
  revoke_to_last_packet_ms: number;
};

async function install({ step, check }: Context, { node }: Office): Promise<Master> {
  await step('ops/up brings up a master and its node', async () => {
    await product.up(node);
  });
  const master = await product.masterOn(node);
  await check('ops/up once more changes nothing', async () => {
    const before = await fingerprint(master);
    expect(!(await product.up(node)), () => 'it says that it changed something');
    expect((await fingerprint(master)) === before, () => 'keys, configuration or revision are others now');
  });
  await step('the owner adds the internal network', async () => {
    const network = { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'br-internal' }] };
    await master.owner.ask(NetworkResource, 'POST', '/v1/networks', { ...network, roles: ['admin'] });
  });
  return master;
}

/** An admin's laptop and a developer's desk: what opens to each, and what to none. @returns the laptop. */
async function compareAccess(context: Context, office: Office, master: Master, people: People): Promise<Joined> {
  const { lab, step, check } = context;
  const laptop = await step("the admin's laptop, behind a NAT, is inside after one line and one code", async (note) => {
    const joined = await product.joinByHand(master, await machineAtHome(lab, office, 'laptop'), people.admin);
    note(joined.screen.trim());
    return joined;
  });
  const desk = await step("the developer's desk, behind another NAT, is inside", async () =>
    product.joinByHand(master, await machineInCafe(lab, office, 'desk'), people.developer),
  );
  const { body: node } = await master.owner.ask(NodeResource, 'GET', '/v1/nodes/n1');

  await check('the laptop pings the internal service and gets its page', async (note) => {
    expect(await product.pings(laptop.host, addresses.intranet), () => 'no answer to the ping');
    const page = await product.fetchPage(laptop.host, addresses.intranet);
    expect(page?.includes('intranet greets') === true, () => `the page was: ${page}`);
    note(page ?? '');
  });
  await check('the two devices reach each other', async () => {
    expect(await product.pings(laptop.host, desk.device.address), () => 'laptop to desk: no answer');
    expect(await product.pings(desk.host, laptop.device.address), () => 'desk to laptop: no answer');
  });
  await check('the desk does not get to the internal service', async () => {
    expect((await product.fetchPage(desk.host, addresses.intranet)) === undefined, () => 'it got the page');
  });
  await check('nor when it sends there regardless: its packets arrive at the node and go no further', async (note) => {
    await product.forceRoute(desk, '172.19.0.0/16');
    const before = await product.packetsInto(master.node, 'wg0');
    expect((await product.fetchPage(desk.host, addresses.intranet)) === undefined, () => 'it got the page');
    expect(!(await product.pings(desk.host, addresses.intranet)), () => 'it got an answer to a ping');
    const arrived = (await product.packetsInto(master.node, 'wg0')) - before;
    expect(arrived >= 2, () => `only ${arrived} packets arrived: this proves nothing`);
    note(`${arrived} packets arrived at n1, none was let through`);
  });
  await check("the node's own ports do not open through the tunnel, but for the API", async () => {
    const ssh = await measure.listen(master.node, 22);
    expect(await product.opens(laptop.host, addresses.node, 22), () => 'the listener is not even there from outside');
    for (const address of [node.tunnelAddress, '172.19.0.1']) {
      for (const port of [22, 8443]) {
        const opened = await product.opens(laptop.host, address, port);
        expect(opened === (port === 8443), () => `${address} port ${port} ${opened ? 'opened' : 'did not open'}`);
      }
    }
    await ssh.stop('SIGKILL');
  });
  return laptop;
}

/** @returns the owner's way to the API of the master that is back. */
async function restart({ step }: Context, { node }: Office, master: Master, { host }: Joined): Promise<Master> {
  const before = [await fingerprint(master), await nodeState(master)].join('\n');
  return step(
    'after a reboot (all programs killed, kernel state and /run gone) one ops/up brings all back',
    async (note) => {
      await reboot(node);
      const start = performance.now();
      await product.up(node);
      const back = await product.masterOn(node);
      const same = async () => [await fingerprint(back), await nodeState(back)].join('\n') === before;
      while (!(await same())) {
        expect(performance.now() - start < 30_000, () => 'not the same as before after 30 s');
        await Bun.sleep(100);
      }
      const settledMs = Math.round(performance.now() - start);
      while ((await product.fetchPage(host, addresses.intranet)) === undefined) {
        expect(performance.now() - start < 60_000, () => 'a device that was inside gets no page after a minute');
      }
      const insideMs = Math.round(performance.now() - start);
      note(`all the same after ${settledMs} ms, the laptop is inside again after ${insideMs} ms`);
      return back;
    },
  );
}

/** One device from its code to its end. */
async function lifeOfADevice(
  { lab, step }: Context,
  office: Office,
  master: Master,
  userId: string,
  name: string,
): Promise<Round> {
  const host = await machineAtHome(lab, office, name);
  const handshake = await measure.watchHandshake(office.home, host);
  const joined = await step(`${name} joins`, async (note) => {
    const result = await product.joinByHand(master, host, userId);
    note(`${Math.round(result.ms)} ms from the code to the first answer through the tunnel`);
    return result;
  });
  const handshake_ms = await handshake();

  const hangUp = await measure.converse(host);
  const bundle_refresh_ms = await step(`${name} reaches a network that is added now, within 5 s`, async (note) => {
    const ms = await measure.addNetwork(master, joined);
    expect(ms <= 5_000, () => `it took ${ms} ms`);
    note(`${ms} ms`);
    return ms;
  });
  await step('and its other flow did not notice', async (note) => note(await hangUp()));
  const commit_to_applied_ms = await step('the network is removed, and closed again', async (note) => {
    const ms = await measure.removeNetwork(master);
    expect(
      (await product.fetchPage(host, addresses.workshop)) === undefined,
      () => 'the removed network still answers',
    );
    note(`in force on n1 after ${ms} ms`);
    return ms;
  });
  const revoke_to_last_packet_ms = await step('revoking it cuts its download', async (note) => {
    const ms = await measure.revokeDuringDownload(master, joined);
    expect(ms <= 1_000, () => `bytes came for ${ms} ms`);
    note(`last byte ${ms} ms after the call`);
    return ms;
  });
  return {
    join_ms: measure.rounded(joined.ms),
    handshake_ms,
    bundle_refresh_ms,
    commit_to_applied_ms,
    revoke_to_last_packet_ms,
  };
}

/** Everything that another `ops/up` must leave as it is. */
async function fingerprint({ node, owner }: Master): Promise<string> {
  const files = [
    'config.json',
    'owner.token',
    'agent/wg0.key',
    'agent/config.json',
    'master/trust.jws',
    'master/tls/cert.pem',
  ];
  const sums = await node.must(['sha256sum', ...files.map((file) => `${product.stateDir}/${file}`)]);
  const { body } = await owner.ask(Health, 'GET', '/healthz');
  return createHash('sha256').update(sums).update(JSON.stringify(body)).digest('hex');
}
