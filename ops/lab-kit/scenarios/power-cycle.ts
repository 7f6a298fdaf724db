import * as v from 'valibot';
import { NetworkResource } from '#contract/admin.ts';
import { expect, type Scenario } from '../scenario.ts';
import { SystemdHost } from '../systemd.ts';
import { addresses, machineAtHome, officeTopology, openOffice } from './office.ts';
import { openSites } from './onboarding-measures.ts';
import { fetchPage, joinByHand, makeUser, masterOn, up } from './product.ts';
import { forgetKernelState, nodeState } from './reboot.ts';

const Milliseconds = v.pipe(v.number(), v.minValue(0));
const units = ['postern-master.service', 'postern-agent.service'];

export const powerCycle: Scenario = {
  name: 'power-cycle',
  description: 'the node runs under systemd, loses its power, and comes back by itself with everybody inside',
  topology: officeTopology,
  figures: v.object({ node_back_ms: Milliseconds, device_back_ms: Milliseconds }),
  async run({ lab, step, check }) {
    const { office, node } = await step('a node under systemd, with a service behind it', async () => {
      const opened = await openOffice(lab);
      await openSites(opened);
      const host = new SystemdHost(opened.node);
      await host.powerOn();
      return { office: opened, node: host };
    });
    const master = await step('ops/up finds systemd and enables its units', async (note) => {
      await up(node);
      const states = await node.must(['systemctl', 'show', '--property=Id,ActiveState,UnitFileState', ...units]);
      expect((states.match(/ActiveState=active/g) ?? []).length === units.length, () => states);
      expect((states.match(/UnitFileState=enabled/g) ?? []).length === units.length, () => states);
      note(units.join(', '));
      return masterOn(office.node);
    });
    await check('ops/up once more changes nothing', async () => {
      expect(!(await up(node)), () => 'it says that it changed something');
    });
    await check('a program that is killed is started again', async () => {
      const agent = () => node.run(['systemctl', 'show', '--property=MainPID', '--value', 'postern-agent.service']);
      const killed = (await agent()).stdout.trim();
      await node.must(['kill', '-9', killed]);
      for (const end = Date.now() + 20_000; ; await Bun.sleep(100)) {
        const now = (await agent()).stdout.trim();
        if (now !== '0' && now !== killed) return;
        expect(Date.now() < end, () => 'no agent is running after 20 s');
      }
    });
    const laptop = await step('a laptop is inside', async () => {
      const network = { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'br-internal' }] };
      await master.owner.ask(NetworkResource, 'POST', '/v1/networks', { ...network, roles: ['admin'] });
      const userId = await makeUser(master, 'ana@example.com', 'admin');
      const joined = await joinByHand(master, await machineAtHome(lab, office, 'laptop'), userId);
      expect((await fetchPage(joined.host, addresses.intranet)) !== undefined, () => 'the intranet does not answer');
      return joined;
    });

    const before = await nodeState(master);
    return step('its power fails; with nobody typing anything, all is as before', async (note) => {
      await node.powerOff();
      await forgetKernelState(office.node);
      expect((await fetchPage(laptop.host, addresses.intranet)) === undefined, () => 'the node is not off');

      const start = performance.now();
      const since = () => Math.round(performance.now() - start);
      await node.powerOn();
      const back = await masterOn(office.node);
      while ((await nodeState(back).catch(() => '')) !== before) {
        expect(since() < 60_000, () => 'the node is not as before after a minute');
        await Bun.sleep(100);
      }
      const node_back_ms = since();
      while ((await fetchPage(laptop.host, addresses.intranet)) === undefined) {
        expect(since() < 90_000, () => 'the laptop is not back after a minute and a half');
      }
      const device_back_ms = since();
      note(`the node after ${node_back_ms} ms from power on, the laptop after ${device_back_ms} ms`);
      return { node_back_ms, device_back_ms };
    });
  },
};
