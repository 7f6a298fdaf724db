import { networkInterfaces } from 'node:os';
import { mayReceive, type Subnet } from '../decisions/webhook-address.ts';
import type { Store } from '../store/open.ts';
import { readPool } from '../store/settings.ts';

/** Says of an address whether a webhook may be sent there, as things are at that moment. */
export function receiversOf(store: Store, allow: readonly Subnet[]): (address: string) => boolean {
  return (address) => mayReceive(address, { allow, pool: readPool(store), own: ownAddresses() });
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((found = []) => found.map(({ address }) => address));
}
