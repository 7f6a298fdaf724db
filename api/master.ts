import { type Fleet, newFleet } from './fleet/fleet.ts';
import { type Published, publishedOf } from './fleet/published.ts';
import { type Callers, callersOf } from './http/callers.ts';
import type { FailureLog } from './http/errors.ts';
import { type LimitSettings, type Limits, limitsOf } from './http/limits.ts';
import { newTokenUses, type TokenUses } from './http/token-uses.ts';
import type { Authority } from './keys/authority.ts';
import type { SecretBox } from './keys/secret-box.ts';
import type { SigningKeys } from './keys/working-keys.ts';
import { type Metrics, newMetrics } from './metrics/registry.ts';
import { type PolicyDesk, policyDeskOf } from './policy/desk.ts';
import { type Workshop, workshopOf } from './policy/workshop.ts';
import type { Releases } from './state/release.ts';
import type { Store } from './store/open.ts';
import { type Pulse, pulseOf } from './store/pulse.ts';
import type { Sender } from './webhooks/send.ts';

/** What the program hands to the application: state, keys, and every effect it may have. */
export type Deps = {
  store: Store;
  keys: SigningKeys;
  /** The root-signed list as it is served, and the root's thumbprint. */
  trust: { readonly jws: string; readonly rootThumbprint: string };
  /** From when to when the TLS certificate that is shown holds. */
  certificate: () => { notBefore: Date; notAfter: Date };
  releases: Releases;
  /** Who vouches for names of the internal domain. */
  authority: Authority;
  /** What closes secrets of webhooks, and what sends to them. */
  webhooks: { box: SecretBox; sender: Sender };
  limits: LimitSettings;
  /** Where long documents are looked at; in a thread of its own when absent. */
  workshop?: Workshop;
  /** How long an answer may wait for the nodes to follow. */
  convergenceMilliseconds: number;
  now: () => Date;
  log: FailureLog;
  /** The address the request's connection comes from. */
  addressOf: (request: Request) => string;
  /** Turns a request into a WebSocket of this node; false if the request is not one that asks for it. */
  openChannel: (request: Request, agent: { node: string; expiresAt: Date }) => boolean;
};

/** The running master as routes see it. */
export type Master = Omit<Deps, 'limits' | 'workshop'> & {
  fleet: Fleet;
  published: Published;
  limits: Limits;
  callers: Callers;
  uses: TokenUses;
  metrics: Metrics;
  pulse: Pulse;
  startedAt: Date;
  workshop: Workshop;
  desk: PolicyDesk;
};

export function assemble(deps: Deps): Master {
  const fleet = newFleet();
  const limits = limitsOf(deps.limits);
  const { store, keys, certificate, addressOf, now, log } = deps;
  const workshop = deps.workshop ?? workshopOf();
  const published = publishedOf(store, keys);
  const uses = newTokenUses();
  store.onRevised((version) => fleet.announce(version));
  store.onUndone(() => published.forgetAll());
  return {
    ...deps,
    fleet,
    limits,
    published,
    uses,
    metrics: newMetrics({ store, fleet, keys, certificate, now }),
    pulse: pulseOf(store, now),
    startedAt: now(),
    callers: callersOf({ store, keys, limits, uses, addressOf, now }),
    workshop,
    desk: policyDeskOf({ store, workshop, now, log }),
  };
}
