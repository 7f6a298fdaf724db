import type { BundleContent } from '#contract/bundle.ts';
import type { RosterDevice, RosterNode, RosterUser } from '#contract/roster.ts';
import { type NetworkParts, Networks, type Surroundings } from '#policies/meaning/networks.ts';
import type { Principal } from '#policies/meaning/world.ts';
import type { IndexedOutline } from './outline.ts';

/** Keeps a NAT's mapping alive without waking a phone's radio all the time; the value wg(8) recommends. */
const persistentKeepaliveSeconds = 25;

export type BundleSurroundings = Surroundings & {
  readonly nodes: readonly RosterNode[];
  readonly vip?: BundleContent['vip'];
  readonly domain?: BundleContent['domain'];
  readonly authority?: BundleContent['authority'];
};
type Device = Pick<RosterDevice, 'name' | 'publicKey' | 'address'>;
type Owner = Pick<RosterUser, 'email' | 'role'>;

/**
 * What devices' bundles say: where each is, who the nodes are and where its tunnel leads at `now` (Unix milliseconds).
 * That changes when a grant runs out: see `nextEnd`.
 */
export class Bundles {
  readonly #outline: Pick<IndexedOutline, 'rolesOf'>;
  readonly #around: BundleSurroundings;
  readonly #networks: Networks;

  constructor(outline: Pick<IndexedOutline, 'grantsBySubject' | 'rolesOf'>, around: BundleSurroundings, now: number) {
    this.#outline = outline;
    this.#around = around;
    this.#networks = new Networks(outline.grantsBySubject, around, now);
  }

  contentOf(device: Device, owner: Owner): BundleContent {
    const { pool, nodes, vip, domain, authority } = this.#around;
    return {
      deviceKey: device.publicKey,
      deviceName: device.name,
      address: device.address,
      pool,
      nodes: [...nodes],
      networks: [...this.#networks.of(this.#principal(device, owner))],
      persistentKeepaliveSeconds,
      ...(vip === undefined ? {} : { vip }),
      ...(domain === undefined ? {} : { domain }),
      ...(authority === undefined ? {} : { authority }),
    };
  }

  /** The networks of a device in two parts, of which devices share the first. */
  networkPartsOf(device: Pick<Device, 'name'>, owner: Owner): NetworkParts {
    return this.#networks.partsOf(this.#principal(device, owner));
  }

  #principal({ name }: Pick<Device, 'name'>, { email, role }: Owner): Principal {
    return { email, device: name, roles: this.#outline.rolesOf(role) };
  }
}
