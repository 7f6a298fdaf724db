import { run } from './command.ts';
import { choosePool, routedSubnets } from './pool.ts';
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
  const routes = JSON.parse(await run(['ip', '-j', '-4', 'route', 'show', 'table', 'all'])) as { dst?: string }[];
  return choosePool(routedSubnets(routes), Math.random);
}
