import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence, Device, DeviceChange } from '#contract/admin.ts';
import { Id } from '#contract/name.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { allDevices, findDevice, renameDevice, revokeDevice, type StoredDevice } from '../store/devices.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Devices', bearer: 'userToken' } as const;

export function deviceRoutes(master: Master) {
  const { store, fleet, published, now } = master;
  const shown = ({ credentialKey, userDisabled, ...device }: StoredDevice): Device => ({
    ...device,
    ...fleet.observationOf(device.publicKey),
  });
  return new Elysia()
    .use(adminArea(master))
    .get('/v1/devices', () => ({ items: allDevices(store).map(shown) }), {
      response: { 200: v.object({ items: v.array(Device) }) },
      detail: operation('listDevices', 'All registered devices', about),
    })
    .get('/v1/devices/:id', ({ params }) => shown(found(findDevice(store, params.id))), {
      params: byId,
      response: { 200: Device },
      detail: operation('getDevice', 'One device', { ...about, problems: ['not-found'] }),
    })
    .patch(
      '/v1/devices/:id',
      ({ params, body, actor }) => shown(granted(renameDevice(store, params.id, body.name, actor, now()))),
      {
        parse: readCallersJson(master),
        params: byId,
        body: DeviceChange,
        response: { 200: Device },
        detail: operation('renameDevice', 'Rename a device', { ...about, problems: ['not-found'] }),
      },
    )
    .delete(
      '/v1/devices/:id',
      async ({ params, actor }) => {
        const { revision } = granted(revokeDevice(store, params.id, actor, 'device.revoke', now()));
        await store.settled();
        published.forget(params.id);
        return converge(master, revision);
      },
      {
        params: byId,
        response: { 200: Convergence },
        detail: operation('revokeDevice', 'Revoke a device; the answer names the nodes that no longer know it', {
          ...about,
          problems: ['not-found'],
        }),
      },
    );
}
