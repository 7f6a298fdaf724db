import type { PolicyRoster } from '#policies/meaning/roster.ts';
import type { World } from '#policies/meaning/world.ts';
import type { Host } from '../host.ts';
import type { Party } from './policy-ground.ts';

/** A device inside the tunnel, and the node's end of it. */
export type TunnelDevice = { party: Party; address: string; publicKey: string };

/** A node that enforces documents, and the devices that are connected to it. */
export type PolicyNode = {
  name: string;
  tunnel: string;
  host: Host;
  roster: PolicyRoster;
  devices: readonly TunnelDevice[];
  /** Puts a document in force. @returns what it means. */
  enforce(source: string): Promise<World>;
  /** Takes everything away that is in force: nothing is filtered. */
  open(): Promise<void>;
  /** Nobody on the node puts things right meanwhile. What is in force stays so. */
  pause<Value>(body: () => Promise<Value>): Promise<Value>;
};
