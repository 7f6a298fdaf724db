import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence, NetworkResource, NewNetwork } from '#contract/admin.ts';
import { Name } from '#contract/name.ts';
import { networkLines } from '../decisions/policy-lines.ts';
import { networkResources } from '../decisions/policy-resources.ts';
import { repeatable } from '../http/idempotency.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { rosterNodes } from '../store/nodes.ts';
import { outlineInForce } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { readPool } from '../store/settings.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { operation } from './documentation.ts';
import { removePlace, Uses } from './place-removal.ts';
import { expectPolicy } from './policy-etag.ts';

const about = { tag: 'Networks', bearer: 'userToken' } as const;
const byName = v.object({ name: Name });

export function networkRoutes(master: Master) {
  const { store, desk, now } = master;
  const networks = () => networkResources(outlineInForce(store), now());
  const named = (name: string) => networks().find((network) => network.name === name);
  const around = () => ({ pool: readPool(store), nodes: rosterNodes(store).map(({ name }) => name) });

  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get('/v1/networks', () => ({ items: networks() }), {
      response: { 200: v.object({ items: v.array(NetworkResource) }) },
      detail: operation('listNetworks', 'The networks, and the roles that may reach them', about),
    })
    .post(
      '/v1/networks',
      ({ body, actor, request, createAfter }) =>
        desk.exclusively(() =>
          createAfter(
            () => {
              expectPolicy(request, store);
              const statements = granted(networkLines(body, outlineInForce(store), around()));
              return desk.prepareEdit({ kind: 'add', statements });
            },
            ({ prepared }) => ({
              make: () => {
                const { name, ...detail } = body;
                const by = { actor, act: 'network.add', subject: name, detail, note: null };
                putInForce(store, prepared, by, now());
                return found(named(name));
              },
              answer: NetworkResource,
              headersOf: ({ name }: NetworkResource) => ({ location: `/v1/networks/${name}` }),
            }),
          ),
        ),
      {
        parse: readCallersJson(master),
        body: NewNetwork,
        response: { 201: NetworkResource },
        detail: operation('addNetwork', 'Add a network and let roles reach it', {
          ...about,
          traits: ['conditional', 'repeatable'],
          problems: ['already-exists', 'policy-refused', 'not-ready'],
        }),
      },
    )
    .get('/v1/networks/:name', ({ params }) => found(named(params.name)), {
      params: byName,
      response: { 200: NetworkResource },
      detail: operation('getNetwork', 'One network', { ...about, problems: ['not-found'] }),
    })
    .delete(
      '/v1/networks/:name',
      ({ params, query, actor, request }) =>
        removePlace(master, { what: 'network', name: params.name, uses: query.uses ?? 'refuse', actor, request }),
      {
        params: byName,
        query: Uses,
        response: { 200: Convergence },
        detail: operation('removeNetwork', 'Remove a network that the policy does not use, or with its uses', {
          ...about,
          traits: ['conditional'],
          problems: ['not-found', 'in-use', 'policy-refused', 'not-ready'],
        }),
      },
    );
}
