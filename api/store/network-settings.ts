import { type Cidr, cidrsOverlap } from '#contract/network.ts';
import type { SettingsChange } from '#contract/settings.ts';
import type { Result } from '../decisions/result.ts';
import { audit } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import type { Store } from './open.ts';
import { outlineInForce } from './policies.ts';
import { freeMesh, raiseRevision, readSettings, type Settings } from './settings.ts';

/** The settings that nodes and devices are told of, and which admins may change. */

/** Gives an installation that was made before there was a mesh its subnet. Called at the start of the master. */
export function furnishMesh(store: Store, now: Date): void {
  store.write(() => {
    const { mesh, pool } = readSettings(store);
    if (mesh === null) put(store, { mesh: freeMesh([pool, ...networksOf(store)]) }, 'postern', now);
  });
}

/** Keeps the certificate of the authority for this domain, unless it has one, or is the domain no longer. */
export function furnishAuthority(store: Store, domain: string, authority: string, now: Date): void {
  store.write(() => {
    const known = readSettings(store);
    if (known.authority === null && known.domain === domain) put(store, { authority }, 'postern', now);
  });
}

/** With another domain comes the certificate of another authority, which was made for it. */
export function changeSettings(
  store: Store,
  change: SettingsChange & { authority?: string },
  actor: string,
  now: Date,
): Result<Settings> {
  return store.write((): Result<Settings> => {
    const { mesh } = change;
    const { pool } = readSettings(store);
    if (mesh !== undefined && [pool, ...networksOf(store)].some((taken) => cidrsOverlap(mesh, taken)))
      return { ok: false, reason: 'in-use', detail: 'The subnet for the mesh overlaps the pool or a network.' };
    put(store, change, actor, now);
    return { ok: true, value: readSettings(store) };
  });
}

function put(store: Store, change: SettingsChange & { authority?: string }, actor: string, now: Date): void {
  const before = readSettings(store);
  const fields = ['domain', 'upstreams', 'advertMilliseconds', 'mesh', 'authority'] as const;
  const changed = fields.filter(
    (field) => change[field] !== undefined && JSON.stringify(change[field]) !== JSON.stringify(before[field]),
  );
  if (changed.length === 0) return;
  const {
    domain = before.domain,
    upstreams = before.upstreams,
    advertMilliseconds: advert = before.advertMilliseconds,
    mesh = before.mesh,
    authority = before.authority,
  } = change;
  const { revision } = raiseRevision(store, now);
  store.db
    .query(
      `UPDATE settings SET domain = $domain, upstreams = $upstreams, advert_ms = $advert, mesh = $mesh,
         authority = $authority
       WHERE id = 1`,
    )
    .run({ domain, upstreams: JSON.stringify(upstreams), advert, mesh, authority });
  refreshBundles(store, 'all', revision, now);
  const told = changed.filter((field) => field !== 'authority');
  const pick = (settings: Partial<Settings>) =>
    Object.fromEntries(told.map((field) => [field, settings[field] ?? null]));
  const detail = {
    ...pick(change as Partial<Settings>),
    was: pick(before),
    ...(changed.includes('authority') ? { newAuthority: true } : {}),
  };
  audit(store, now, { actor, act: 'settings.change', subject: 'settings', detail });
}

function networksOf(store: Store): Cidr[] {
  return outlineInForce(store).networks.map(({ cidr }) => cidr);
}
