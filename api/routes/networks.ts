import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence, NetworkResource, NewNetwork } from '#contract/admin.ts';
import { Name } from '#contract/name.ts';
import { repeatable } from '../http/idempotency.ts';
import { granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addNetwork, allNetworks, removeNetwork } from '../store/networks.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';

const about = { tag: 'Networks', bearer: 'userToken' } as const;

export function networkRoutes(master: Master) {
  const { store, now } = master;
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get('/v1/networks', () => ({ items: allNetworks(store) }), {
      response: { 200: v.object({ items: v.array(NetworkResource) }) },
      detail: operation('listNetworks', 'The networks, and the roles that may reach them', about),
    })
    .post(
      '/v1/networks',
      ({ body, actor, create }) =>
        create({
          make: () => granted(addNetwork(store, body, actor, now())),
          answer: NetworkResource,
          headersOf: () => ({}),
        }),
      {
        parse: readCallersJson(master),
        body: NewNetwork,
        response: { 201: NetworkResource },
        detail: operation('addNetwork', 'Add a network and let roles reach it', {
          ...about,
          traits: ['repeatable'],
          problems: ['already-exists'],
        }),
      },
    )
    .delete(
      '/v1/networks/:name',
      ({ params, actor }) => {
        const { revision } = granted(removeNetwork(store, params.name, actor, now()));
        return converge(master, revision);
      },
      {
        params: v.object({ name: Name }),
        response: { 200: Convergence },
        detail: operation('removeNetwork', 'Remove a network and what was granted on it', {
          ...about,
          problems: ['not-found'],
        }),
      },
    );
}
