import { join } from 'node:path';
import * as v from 'valibot';
import { Asked } from '../asked.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { forward } from '../router.ts';
import { type Command, timed } from '../rules.ts';
import { expect } from '../scenario.ts';
import { deviceAddress, pool, server, serverSide, tunnel } from './firewall-layouts.ts';

export const routerNames = ['none', 'ours', 'seed'] as const;
export type RouterName = (typeof routerNames)[number];

/** An address of the pool that no device has. */
const stranger = '10.91.64.99';

const RoundTrips = v.object({ median_us: v.nullable(v.number()), lost: v.number() });
const Connections = v.object({ per_s: v.number(), failed: v.number() });

/** A device, a server, and three routers between them; the device sends by the one whose turn it is. */
export class Bench {
  private readonly device: Host;
  private readonly server: Host;
  private readonly routers: Record<RouterName, Host>;
  private readonly stopwatches: Record<RouterName, Asked>;
  private readonly roundTrips: Asked;
  private readonly connections: Asked;

  private constructor(device: Host, serverHost: Host, routers: Record<RouterName, Host>) {
    this.device = device;
    this.server = serverHost;
    this.routers = routers;
    const asked = (host: Host, program: string) => new Asked(host, ['bun', programFile(program)]);
    const { none, ours, seed } = routers;
    this.stopwatches = {
      none: asked(none, 'stopwatch'),
      ours: asked(ours, 'stopwatch'),
      seed: asked(seed, 'stopwatch'),
    };
    this.roundTrips = asked(device, 'round-trips');
    this.connections = asked(device, 'connections');
  }

  static async open(lab: Lab): Promise<Bench> {
    const [device, serverHost, none, ours, seed] = await lab.boot('device', 'server', ...routerNames);
    for (const [index, router] of [none, ours, seed].entries()) {
      await forward(router);
      await lab.link(
        { host: device, name: `to-${router.name}`, address: `10.0.${index}.2/30` },
        { host: router, name: tunnel, address: `10.0.${index}.1/30` },
      );
      await lab.link(
        { host: router, name: serverSide, address: `10.1.${index}.1/30` },
        { host: serverHost, name: `to-${router.name}`, address: `10.1.${index}.2/30` },
      );
      await router.ip(`route add ${pool} via 10.0.${index}.2`, `route add ${server.address} via 10.1.${index}.2`);
    }
    await serverHost.ip(`addr add ${server.address}/32 dev lo`);
    await device.ip(`addr add ${stranger}/32 dev lo`);
    await device.must(['sysctl', '-qw', 'net.ipv4.ping_group_range=0 0', 'net.ipv4.ip_local_port_range=1024 65000']);
    const listening = serverHost.start('connections', ['bun', programFile('connections'), 'serve', `${server.port}`]);
    await listening.says(/listening/);
    return new Bench(device, serverHost, { none, ours, seed });
  }

  /** Gives the device the address of the last of so many. */
  async becomeLastOf(devices: number): Promise<void> {
    await this.device.ip(`addr replace ${deviceAddress(devices - 1)}/32 dev lo`);
  }

  async sendBy(name: RouterName, devices: number): Promise<void> {
    const index = routerNames.indexOf(name);
    await this.device.ip(`route replace ${server.address} via 10.0.${index}.1 src ${deviceAddress(devices - 1)}`);
    await this.server.ip(`route replace ${pool} via 10.1.${index}.1 src ${server.address}`);
  }

  /** The median round trip of a ping sent as soon as the last came back, in µs. */
  async roundTrip(seconds: number): Promise<number> {
    const ask = { address: server.address, count: 100_000, seconds };
    const { median_us, lost } = await this.roundTrips.ask(RoundTrips, ask);
    if (median_us === null || lost > 2) throw new Error(`${lost} pings were lost`);
    return median_us;
  }

  /** TCP connections that were opened, answered and reset in a second, with some always under way. */
  async connectionsPerSecond(seconds: number): Promise<number> {
    const { per_s, failed } = await this.connections.ask(Connections, { ...server, seconds, atOnce: 16 });
    expect(per_s > 0 && failed === 0, () => `${failed} connections failed`);
    return per_s;
  }

  /** How long a router's kernel takes to be told these, in ms. */
  tell(name: RouterName, commands: readonly Command[]): Promise<number> {
    return timed(this.stopwatches[name], commands);
  }

  /** That the packets went through the rule they were meant for, and that nobody else's would. */
  async expectCounted(name: Exclude<RouterName, 'none'>, devices: number): Promise<void> {
    await this.sendBy(name, devices);
    const rules = (await this.routers[name].must(['iptables-save', '-c', '-t', 'filter'])).split('\n');
    const granted = {
      ours: new RegExp(`-A POSTERN-TO-${serverSide} .*-p icmp .* line \\d+" -j ACCEPT$`),
      seed: new RegExp(`-A FORWARD -s .* -o ${serverSide} -j ACCEPT$`),
    };
    const last = rules.filter((rule) => granted[name].test(rule)).at(-1) ?? '';
    const packets = Number(/^\[(\d+):/.exec(last)?.[1]);
    expect(packets > 10, () => `the rule of the last of ${devices} devices counted ${packets} packets: ${last}`);
    const foreign = ['ping', '-nqc', '1', '-W', '0.2', '-I', stranger, server.address];
    expect((await this.device.run(foreign)).exitCode !== 0, () => `${name} let an address through that is no device`);
  }
}

function programFile(name: string): string {
  return join(import.meta.dir, `../programs/${name}.ts`);
}
