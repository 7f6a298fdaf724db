import { join } from 'node:path';
import type { Host } from './host.ts';
import type { Program } from './program.ts';

/**
 * How bad a path is, each way. Delay is `delayMs` give or take up to `jitterMs`, packets keep their order; `loss` is the
 * part that is dropped, 0 to 1. The same seed drops the same packets of the same sequence.
 */
export type Path = { delayMs: number; jitterMs?: number; loss?: number; seed?: number };

/**
 * Makes everything that a router passes between its interfaces late and lossy. It runs in user space on a TUN device,
 * since kernels come without netem; what the router itself says or hears is not touched.
 */
export async function relay(router: Host, interfaces: readonly string[], path: Path): Promise<Program> {
  const { delayMs, jitterMs = 0, loss = 0, seed = 1 } = path;
  const figures = [delayMs, jitterMs, loss, seed].map(String);
  const program = router.start('relay', ['bun', join(import.meta.dir, 'programs/relay.ts'), 'relay0', ...figures]);
  await program.says(/ready/);
  await router.ip('addr add 169.254.254.1/32 dev relay0', 'link set relay0 mtu 65000', 'link set relay0 up');
  await router.sysctl('net.ipv4.conf.all.rp_filter', 0);
  await router.sysctl('net.ipv4.conf.relay0.rp_filter', 0);
  await router.ip(
    'route add default dev relay0 table 77',
    ...interfaces.map((name) => `rule add iif ${name} lookup 77`),
  );
  return program;
}

/** Makes a router pass on at once again what it passes. */
export async function endRelay(router: Host, interfaces: readonly string[], program: Program): Promise<void> {
  await program.stop('SIGKILL');
  await router.ip(...interfaces.map((name) => `rule del iif ${name} lookup 77`));
}
