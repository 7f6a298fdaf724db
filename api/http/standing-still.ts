import { type Superseded, superseded } from '../store/lives.ts';
import type { Store } from '../store/open.ts';
import { Refusal } from './refusal.ts';

/** What a master does that knows of a newer one: agents may come and prove more, people may look. */
const stillServed = new Set(['/v1/agent/tokens', '/v1/agent/witness']);

/**
 * Refuses every change, and everything that a node or a device would act on, while nodes know a newer master than this.
 * The health check fails too, so that nobody takes this one for well.
 */
export function refuseWhileSuperseded(store: Store, request: Request): void {
  const { pathname } = new URL(request.url);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const isActedOn = /^\/(?:v1\/(?:agent|device)(?:\/|$)|(?:health|ready)z$)/.test(pathname);
  if ((isRead && !isActedOn) || stillServed.has(pathname)) return;
  const newer = superseded(store);
  if (newer !== undefined) throw new Refusal('stale-master', staleDetail(newer));
}

/** For people: what was seen, where, and what to do. */
export function staleDetail({ by, node, at }: Superseded): string {
  return (
    `The node ${node} showed revision ${by.revision} of epoch ${by.epoch} at ${at}. If another master has taken over, ` +
    'stop this one. If this one is to go on, run on its machine: postern master promote'
  );
}
