import * as v from 'valibot';
import { relay } from '../relay.ts';
import { forward, masquerade } from '../router.ts';
import { expect, type Scenario } from '../scenario.ts';

/** The lab looks at itself, so that a failing scenario can be told from a machine on which hosts do not work. */
export const lab: Scenario = {
  name: 'lab',
  description: 'the lab itself: a host behind a NAT, and a path that is as slow and lossy as declared',
  topology: `
  laptop 192.168.1.50 -- home (NAT) -- 203.0.113.2 -- internet (20 ms, 10 % loss) -- 198.51.100.10 server
`,
  figures: v.object({ direct_ms: v.number(), delayed_ms: v.number(), lost_percent: v.number() }),
  async run({ lab, short, step }) {
    const figures = { direct_ms: 0, delayed_ms: 0, lost_percent: 0 };
    const [laptop, home, internet, server] = await lab.boot('laptop', 'home', 'internet', 'server');
    const ping = async (count: number) => {
      const { stdout } = await laptop.run(['ping', '-i', '0.02', '-W', '1', '-qc', `${count}`, '198.51.100.10']);
      const lost = Number(/([\d.]+)% packet loss/.exec(stdout)?.[1]);
      return { lost, ms: Number(/= [\d.]+\/([\d.]+)/.exec(stdout)?.[1]) };
    };

    await step('hosts, links and a NAT are there', async () => {
      await lab.link(
        { host: laptop, name: 'eth0', address: '192.168.1.50/24' },
        { host: home, name: 'lan0', address: '192.168.1.1/24' },
      );
      await lab.link(
        { host: home, name: 'wan0', address: '203.0.113.2/24' },
        { host: internet, name: 'to-home', address: '203.0.113.1/24' },
      );
      await lab.link(
        { host: server, name: 'eth0', address: '198.51.100.10/24' },
        { host: internet, name: 'to-server', address: '198.51.100.1/24' },
      );
      await forward(internet);
      await masquerade(home, 'wan0');
      await laptop.ip('route add default via 192.168.1.1');
      await home.ip('route add default via 203.0.113.1');
      await server.ip('route add default via 198.51.100.1');
    });

    await step('the laptop reaches the server, which sees the router', async (note) => {
      const { lost, ms } = await ping(5);
      expect(lost === 0, () => `${lost} % of the packets were lost`);
      figures.direct_ms = ms;
      note(`${ms} ms`);
    });

    await step('a relay of 20 ms and 10 % each way is as bad as it says', async (note) => {
      await relay(internet, ['to-home', 'to-server'], { delayMs: 20, jitterMs: 2, loss: 0.1, seed: 3 });
      const { lost, ms } = await ping(short ? 100 : 500);
      expect(ms > 36 && ms < 300, () => `a round trip took ${ms} ms`);
      expect(lost > 5 && lost < 40, () => `${lost} % of the packets were lost`);
      figures.delayed_ms = ms;
      figures.lost_percent = lost;
      note(`${ms} ms, ${lost} % lost there and back`);
    });
    return figures;
  },
};
