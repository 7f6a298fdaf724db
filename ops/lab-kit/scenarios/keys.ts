import { randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import * as v from 'valibot';
import { Convergence, NetworkResource } from '#contract/admin.ts';
import { TrustList } from '#contract/trust.ts';
import type { Host } from '../host.ts';
import { expect, type Scenario } from '../scenario.ts';
import { addresses, machineAtHome, officeTopology, openOffice } from './office.ts';
import { openSites } from './onboarding-measures.ts';
import { devices, fetchPage, joinByHand, makeCode, makeUser, masterOn, stateDir, up } from './product.ts';

const Milliseconds = v.pipe(v.number(), v.minValue(0));
const clientState = '/var/lib/postern-client';
const recoveryFile = '/root/recovery';

export const keys: Scenario = {
  name: 'keys',
  description:
    'working keys and certificate are renewed, then replaced as stolen: node and laptop follow by themselves',
  topology: officeTopology,
  figures: v.object({ node_followed_ms: Milliseconds, device_followed_ms: Milliseconds, lost_pages: v.number() }),
  async run({ lab, step, check }) {
    const { office, master, laptop, userId } = await step('a node, a service, and a laptop inside', async () => {
      const opened = await openOffice(lab);
      await openSites(opened);
      await up(opened.node, '--recovery-file', recoveryFile);
      const running = await masterOn(opened.node);
      const network = { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'br-internal' }] };
      await running.owner.ask(NetworkResource, 'POST', '/v1/networks', { ...network, roles: ['admin'] });
      const user = await makeUser(running, 'ana@example.com', 'admin');
      const joined = await joinByHand(running, await machineAtHome(lab, opened, 'laptop'), user);
      return { office: opened, master: running, laptop: joined, userId: user };
    });
    const renew = (...words: string[]) =>
      office.node.must(['postern', '--json', 'keys', 'renew', '--recovery-file', recoveryFile, ...words]);
    const pages = watchPages(laptop.host);

    const followed = await step('all keys are renewed; node and laptop have the new list', async (note) => {
      const start = performance.now();
      const { version } = v.parse(v.object({ version: v.number() }), JSON.parse(await renew()));
      await until(async () => (await listOn(office.node, `${stateDir}/agent/trust.jws`)) === version);
      const node_followed_ms = Math.round(performance.now() - start);
      await until(async () => (await listOn(laptop.host, `${clientState}/trust.jws`)) === version);
      const device_followed_ms = Math.round(performance.now() - start);
      note(`the node after ${node_followed_ms} ms, the laptop after ${device_followed_ms} ms`);
      return { node_followed_ms, device_followed_ms };
    });
    await check('a change that the new keys sign reaches the laptop', async () => {
      const workshop = { name: 'workshop', cidr: '172.20.0.0/16', gateways: [{ node: 'n1', device: 'br-workshop' }] };
      await master.owner.ask(NetworkResource, 'POST', '/v1/networks', { ...workshop, roles: ['admin'] });
      await until(async () => (await fetchPage(laptop.host, addresses.workshop)) !== undefined);
    });
    const { code } = await makeCode(master, userId);
    await step('the keys are replaced as stolen, that of the certificate too', async () => {
      const { version } = v.parse(v.object({ version: v.number() }), JSON.parse(await renew('--compromised')));
      await renew('--tls', '--compromised');
      await until(async () => (await listOn(office.node, `${stateDir}/agent/trust.jws`)) === version + 1);
      await until(async () => (await listOn(laptop.host, `${clientState}/trust.jws`)) === version + 1);
    });
    await check('a code that the stolen key backs lets nobody in', async () => {
      const body = JSON.stringify({
        code,
        publicKey: key(),
        credentialKey: key('base64url'),
        deviceName: 'thief',
        platform: 'linux',
      });
      const asked = await office.internet.must(
        [
          ...['curl', '-sk', '-X', 'POST', '-H', 'content-type: application/json', '--data-binary', '@-'],
          `https://${addresses.node}:8443/v1/enrolments`,
        ],
        { stdin: body },
      );
      expect(asked.includes('code-unknown'), () => asked);
    });
    await check('a laptop and a node that start anew trust what they have', async () => {
      await office.node.kill9(/agent\/main\.ts run/);
      await laptop.host.kill9(/postern-client/);
      const said = await laptop.host.must(['postern-client', 'up']);
      expect((await fetchPage(laptop.host, addresses.intranet)) !== undefined, () => said);
    });
    await check('a laptop joins with the new keys', async () => {
      await joinByHand(master, await machineAtHome(lab, office, 'desk'), userId);
    });
    const lost_pages = await step('the tunnel never stopped', async (note) => {
      const { asked, lost } = await pages.end();
      note(`${asked} pages, ${lost} lost`);
      expect(lost === 0, () => `${lost} of ${asked} pages were lost`);
      return lost;
    });
    await check('a device is revoked as ever', async () => {
      const [first] = await devices(master);
      const { body } = await master.owner.ask(Convergence, 'DELETE', `/v1/devices/${first?.id}`);
      expect(body.pending.length === 0, () => `pending: ${body.pending.join(', ')}`);
    });
    return { ...followed, lost_pages };
  },
};

const key = (encoding: 'base64' | 'base64url' = 'base64') => randomBytes(32).toString(encoding);

/** The version of the list of keys in a file. */
async function listOn(host: Host, path: string): Promise<number> {
  return v.parse(TrustList, decodeJwt((await host.must(['cat', path])).trim())).version;
}

async function until(isSo: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  for (const end = Date.now() + limitMs; !(await isSo()); await Bun.sleep(50))
    expect(Date.now() < end, () => `it did not come to be within ${limitMs / 1000} s`);
}

/** Opens a page of the intranet again and again. `end` says how many there were, and how many did not come. */
function watchPages(host: Host): { end(): Promise<{ asked: number; lost: number }> } {
  let asked = 0;
  let lost = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      asked += 1;
      if ((await fetchPage(host, addresses.intranet)) === undefined) lost += 1;
      await Bun.sleep(100);
    }
  })();
  return {
    async end() {
      isOver = true;
      await watching;
      return { asked, lost };
    },
  };
}
