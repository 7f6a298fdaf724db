import { existsSync, readFileSync } from 'node:fs';
import { run } from './command.ts';
import { chooseMesh, choosePool, routedSubnets, upstreamsIn } from './pool.ts';
import { StateProblem } from './state.ts';

/** The address this machine uses towards the internet, asked of the kernel; nothing is sent. */
export async function ownAddress(): Promise<string> {
  const noRoute = () =>
    new StateProblem('This machine has no default route, so its address is unknown. Name it with --endpoint HOST.');
  try {
    const [route] = JSON.parse(await run(['ip', '-j', '-4', 'route', 'get', '192.0.2.1'])) as { prefsrc?: string }[];
    if (route?.prefsrc === undefined) throw noRoute();
    return route.prefsrc;
  } catch {
    throw noRoute();
  }
}

export async function freePool(): Promise<string> {
  return choosePool(await routedHere(), Math.random);
}

/** A subnet for the mesh, beside the pool and all that is routed here. */
export async function freeMesh(pool: string): Promise<string> {
  return chooseMesh([pool, ...(await routedHere())], Math.random);
}

async function routedHere(): Promise<string[]> {
  const routes = JSON.parse(await run(['ip', '-j', '-4', 'route', 'show', 'table', 'all'])) as { dst?: string }[];
  return routedSubnets(routes);
}

/** The resolvers that this machine asks, as other nodes can ask them too; systemd-resolved keeps its own apart. */
export function resolversHere(): string[] {
  for (const path of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const found = existsSync(path) ? upstreamsIn(readFileSync(path, 'utf8')) : [];
    if (found.length > 0) return found;
  }
  return [];
}
