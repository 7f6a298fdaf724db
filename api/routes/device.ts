import { Elysia } from 'elysia';
import { commonHeaders } from '../http/errors.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { revokeDevice } from '../store/devices.ts';
import { deviceArea } from './areas.ts';
import { noContent, operation, text } from './documentation.ts';

const about = { tag: 'Device', bearer: 'deviceToken' } as const;

/** What a device does for itself, with its own credential. */
export function ownDeviceRoutes(master: Master) {
  const { store, published, now } = master;
  return new Elysia()
    .use(deviceArea(master))
    .get(
      '/v1/device/bundle',
      async ({ device }) => {
        if (device.userDisabled) throw new Refusal('permission-denied', 'Your user is disabled. Ask your admin.');
        const bundle = found(await published.bundleOf(device.id));
        return new Response(bundle, { headers: { ...commonHeaders, 'content-type': 'application/jose' } });
      },
      {
        detail: operation('getBundle', "The device's newest bundle", {
          ...about,
          answer: text('application/jose', 'A compact JWS of type postern-bundle+jws'),
          problems: ['permission-denied'],
        }),
      },
    )
    .delete(
      '/v1/device',
      async ({ device, set }) => {
        granted(revokeDevice(store, device.id, `device ${device.id}`, 'device.leave', now()));
        await store.settled();
        published.forget(device.id);
        set.status = 204;
      },
      {
        detail: operation('leave', 'Leave: the device removes itself', { ...about, answer: noContent }),
      },
    );
}
