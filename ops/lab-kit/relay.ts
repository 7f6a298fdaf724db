import { join } from 'node:path';
import type { Host } from './host.ts';

/**
 * How bad a path is, each way. Delay is `delayMs` give or take up to `jitterMs`, packets keep their order; `loss` is the
 * part that is dropped, 0 to 1. The same seed drops the same packets of the same sequence.
 */
export type Path = { delayMs: number; jitterMs?: number; loss?: number; seed?: number };

/** What makes a path bad, until it is ended. */
export type Relay = { end(): Promise<void> };

/**
 * Makes everything that a router passes between its interfaces late and lossy. Where the kernel has netem it does it. Else
 * it runs in user space on a TUN device; what the router itself says or hears is not touched then.
 */
export async function relay(router: Host, interfaces: readonly string[], path: Path): Promise<Relay> {
  return (await byKernel(router, interfaces, path)) ?? byProgram(router, interfaces, path);
}

/** Each packet leaves by one interface. A rate, however high, makes netem keep their order. */
async function byKernel(router: Host, interfaces: readonly string[], path: Path): Promise<Relay | undefined> {
  const { delayMs, jitterMs = 0, loss = 0 } = path;
  const delay = [
    'delay',
    `${delayMs}ms`,
    `${jitterMs}ms`,
    'loss',
    `${loss * 100}%`,
    'rate',
    '10gbit',
    'limit',
    '100000',
  ];
  for (const name of interfaces) {
    const { exitCode } = await router.run(['tc', 'qdisc', 'add', 'dev', name, 'root', 'netem', ...delay]);
    if (exitCode !== 0) return undefined;
  }
  return {
    async end() {
      for (const name of interfaces) await router.must(['tc', 'qdisc', 'del', 'dev', name, 'root']);
    },
  };
}

async function byProgram(router: Host, interfaces: readonly string[], path: Path): Promise<Relay> {
  const { delayMs, jitterMs = 0, loss = 0, seed = 1 } = path;
  const figures = [delayMs, jitterMs, loss, seed].map(String);
  const program = router.start('relay', ['bun', join(import.meta.dir, 'programs/relay.ts'), 'relay0', ...figures]);
  await program.says(/ready/);
  await router.ip('addr add 169.254.254.1/32 dev relay0', 'link set relay0 mtu 65000', 'link set relay0 up');
  await router.sysctl('net.ipv4.conf.all.rp_filter', 0);
  await router.sysctl('net.ipv4.conf.relay0.rp_filter', 0);
  const rules = interfaces.map((name) => `iif ${name} lookup 77`);
  await router.ip('route add default dev relay0 table 77', ...rules.map((rule) => `rule add ${rule}`));
  return {
    async end() {
      await router.ip(...rules.map((rule) => `rule del ${rule}`));
      await program.stop('SIGKILL');
    },
  };
}
