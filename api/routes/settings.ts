import { Elysia } from 'elysia';
import { Settings, SettingsChange } from '#contract/settings.ts';
import { poolPlan } from '../decisions/addresses.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { changeSettings } from '../store/network-settings.ts';
import { readSettings, type Settings as StoredSettings } from '../store/settings.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { operation } from './documentation.ts';

const about = { tag: 'Master', bearer: 'userToken' } as const;

export function settingsRoutes(master: Master) {
  const { store, authority, now } = master;
  const shown = ({ pool, mesh, advertMilliseconds, domain, upstreams, publicUrl }: StoredSettings): Settings => ({
    pool,
    vip: poolPlan(pool).vip,
    mesh,
    advertMilliseconds,
    domain,
    upstreams,
    publicUrl,
  });
  return new Elysia()
    .use(adminArea(master))
    .get(
      '/v1/settings',
      ({ request, set }) => {
        const settings = shown(readSettings(store));
        return tagged({ request, set }, settings, etagOf(settings));
      },
      {
        response: { 200: Settings },
        detail: operation('getSettings', 'What holds for the whole installation', { ...about, traits: ['tagged'] }),
      },
    )
    .patch(
      '/v1/settings',
      async ({ body, actor, request, set }) => {
        const { domain } = body;
        const isMoved = domain !== undefined && domain !== readSettings(store).domain;
        const made = isMoved ? { authority: await authority.make(domain, now()) } : {};
        expectMatch(request, etagOf(shown(readSettings(store))));
        const settings = shown(granted(changeSettings(store, { ...body, ...made }, actor, now())));
        return tagged({ request, set }, settings, etagOf(settings));
      },
      {
        parse: readCallersJson(master),
        body: SettingsChange,
        response: { 200: Settings },
        detail: operation('changeSettings', 'Change them; nodes and devices follow by themselves', {
          ...about,
          needs: 'own',
          traits: ['tagged', 'conditional'],
          problems: ['in-use'],
        }),
      },
    );
}
