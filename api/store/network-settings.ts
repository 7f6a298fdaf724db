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

export function changeSettings(store: Store, change: SettingsChange, actor: string, now: Date): Result<Settings> {
  return store.write((): Result<Settings> => {
    const { mesh } = change;
    const { pool } = readSettings(store);
    if (mesh !== undefined && [pool, ...networksOf(store)].some((taken) => cidrsOverlap(mesh, taken)))
      return { ok: false, reason: 'in-use', detail: 'The subnet for the mesh overlaps the pool or a network.' };
    put(store, change, actor, now);
    return { ok: true, value: readSettings(store) };
  });
}

function put(store: Store, change: SettingsChange, actor: string, now: Date): void {
  const before = readSettings(store);
  const fields = ['domain', 'upstreams', 'advertMilliseconds', 'mesh'] as const;
  const changed = fields.filter(
    (field) => change[field] !== undefined && JSON.stringify(change[field]) !== JSON.stringify(before[field]),
  );
  if (changed.length === 0) return;
  const {
    domain = before.domain,
    upstreams = before.upstreams,
    advertMilliseconds: advert = before.advertMilliseconds,
    mesh = before.mesh,
  } = change;
  const { revision } = raiseRevision(store, now);
  store.db
    .query(
      'UPDATE settings SET domain = $domain, upstreams = $upstreams, advert_ms = $advert, mesh = $mesh WHERE id = 1',
    )
    .run({ domain, upstreams: JSON.stringify(upstreams), advert, mesh });
  refreshBundles(store, 'all', revision, now);
  const pick = (settings: Partial<Settings>) =>
    Object.fromEntries(changed.map((field) => [field, settings[field] ?? null]));
  audit(store, now, {
    actor,
    act: 'settings.change',
    subject: 'settings',
    detail: { ...pick(change as Partial<Settings>), was: pick(before) },
  });
}

function networksOf(store: Store): Cidr[] {
  return outlineInForce(store).networks.map(({ cidr }) => cidr);
}
