import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence, Device, DeviceChange } from '#contract/admin.ts';
import { DeviceList, pageOf } from '#contract/lists.ts';
import { Id } from '#contract/name.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { paged } from '../http/paging.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { changeDevice, findDevice, pageOfDevices, revokeDevice, type StoredDevice } from '../store/devices.ts';
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
  const etagOfDevice = ({ latestHandshake, receivedBytes, sentBytes, ...device }: Device) =>
    etagOf(device, { latestHandshake, receivedBytes, sentBytes });
  const onlineKeys = ({ online, node }: DeviceList) =>
    online === undefined && node === undefined
      ? {}
      : { keys: { among: fleet.onlineKeys(now(), node), are: online ?? true } };

  return new Elysia()
    .use(adminArea(master))
    .get(
      '/v1/devices',
      (context) =>
        paged(context, 'createdAt', (asked) => {
          const page = pageOfDevices(store, { ...context.query, ...onlineKeys(context.query) }, asked);
          return { ...page, rows: page.rows.map(shown) };
        }),
      {
        query: DeviceList,
        response: { 200: pageOf(Device) },
        detail: operation('listDevices', 'All registered devices, page by page', { ...about, traits: ['paged'] }),
      },
    )
    .get(
      '/v1/devices/:id',
      ({ params, request, set }) => {
        const device = shown(found(findDevice(store, params.id)));
        return tagged({ request, set }, device, etagOfDevice(device));
      },
      {
        params: byId,
        response: { 200: Device },
        detail: operation('getDevice', 'One device', { ...about, traits: ['tagged'], problems: ['not-found'] }),
      },
    )
    .patch(
      '/v1/devices/:id',
      ({ params, body, actor, request, set }) => {
        expectMatch(request, etagOfDevice(shown(found(findDevice(store, params.id)))));
        const device = shown(granted(changeDevice(store, params.id, body, actor, now())));
        return tagged({ request, set }, device, etagOfDevice(device));
      },
      {
        parse: readCallersJson(master),
        params: byId,
        body: DeviceChange,
        response: { 200: Device },
        detail: operation('changeDevice', 'Rename a device, or move the end of a machine', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['not-found'],
        }),
      },
    )
    .delete(
      '/v1/devices/:id',
      async ({ params, actor, request }) => {
        expectMatch(request, etagOfDevice(shown(found(findDevice(store, params.id)))));
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
          traits: ['conditional'],
          problems: ['not-found'],
        }),
      },
    );
}
