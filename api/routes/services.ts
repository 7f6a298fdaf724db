import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { Name } from '#contract/name.ts';
import { NewService, ServiceResource } from '#contract/places.ts';
import { serviceLines } from '../decisions/policy-lines.ts';
import { serviceResources } from '../decisions/policy-resources.ts';
import { repeatable } from '../http/idempotency.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { allFronts } from '../store/fronts.ts';
import { outlineInForce } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { operation } from './documentation.ts';
import { removePlace, Uses } from './place-removal.ts';
import { expectPolicy } from './policy-etag.ts';

const about = { tag: 'Services', bearer: 'userToken' } as const;
const byName = v.object({ name: Name });

export function serviceRoutes(master: Master) {
  const { store, desk, now } = master;
  const services = () => serviceResources(outlineInForce(store), allFronts(store), now());
  const named = (name: string) => services().find((service) => service.name === name);

  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get('/v1/services', () => ({ items: services() }), {
      response: { 200: v.object({ items: v.array(ServiceResource) }) },
      detail: operation('listServices', 'The services, and the roles that may reach them', about),
    })
    .post(
      '/v1/services',
      ({ body, actor, request, createAfter }) =>
        desk.exclusively(() =>
          createAfter(
            () => {
              expectPolicy(request, store);
              const statements = granted(serviceLines(body, outlineInForce(store)));
              return desk.prepareEdit({ kind: 'add', statements });
            },
            ({ prepared }) => ({
              make: () => {
                const { name, ...detail } = body;
                const by = { actor, act: 'service.add', subject: name, detail, note: null };
                putInForce(store, prepared, by, now());
                return found(named(name));
              },
              answer: ServiceResource,
              headersOf: ({ name }: ServiceResource) => ({ location: `/v1/services/${name}` }),
            }),
          ),
        ),
      {
        parse: readCallersJson(master),
        body: NewService,
        response: { 201: ServiceResource },
        detail: operation('addService', 'Add a service in a network and let roles reach it', {
          ...about,
          traits: ['conditional', 'repeatable'],
          problems: ['already-exists', 'policy-refused', 'pool-exhausted', 'not-ready'],
        }),
      },
    )
    .get('/v1/services/:name', ({ params }) => found(named(params.name)), {
      params: byName,
      response: { 200: ServiceResource },
      detail: operation('getService', 'One service', { ...about, problems: ['not-found'] }),
    })
    .delete(
      '/v1/services/:name',
      ({ params, query, actor, request }) =>
        removePlace(master, { what: 'service', name: params.name, uses: query.uses ?? 'refuse', actor, request }),
      {
        params: byName,
        query: Uses,
        response: { 200: Convergence },
        detail: operation('removeService', 'Remove a service that the policy does not use, or with its uses', {
          ...about,
          traits: ['conditional'],
          problems: ['not-found', 'in-use', 'policy-refused', 'not-ready'],
        }),
      },
    );
}
