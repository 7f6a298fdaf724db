import type { InterfaceName } from '#contract/network.ts';
import type { ObservedInterface } from '#contract/wg.ts';
import type { MeshPeer } from '#policies/desired/mesh.ts';
import { type Call, type Called, plannedCalls } from '../plan/calls.ts';
import type { RunCommand } from './command.ts';

/** Tells WireGuard where other nodes are called. */
export interface Caller {
  /** After each look. Nothing waits for it: a name that cannot be looked up must hold nothing up. */
  seen(peers: readonly MeshPeer[], observed: ObservedInterface): void;
}

export function openCaller(run: RunCommand, name: InterfaceName, log: (line: string) => void): Caller {
  let called: ReadonlyMap<string, Called> = new Map();
  // By wg(8) for both kinds of WireGuard: it looks names up.
  const call = ({ publicKey, endpoint }: Call) =>
    run(['timeout', '10', 'wg', 'set', name, 'peer', publicKey, 'endpoint', endpoint]).catch((error: Error) =>
      log(`calling another node: ${error.message}`),
    );
  return {
    seen(peers, { peers: observed }) {
      const planned = plannedCalls(peers, observed, called, Date.now());
      called = planned.called;
      for (const one of planned.calls) call(one);
    },
  };
}
