import { Elysia } from 'elysia';
import * as v from 'valibot';
import { NewNode, NodeResource } from '#contract/admin.ts';
import { NodeList, pageOf } from '#contract/lists.ts';
import { Name } from '#contract/name.ts';
import { NodeChange } from '#contract/node-enrolment.ts';
import { isUsableSigningKey } from '../decisions/signing-key.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addNode, changeNode, findNode, pageOfNodes, removeNode, type StoredNode } from '../store/nodes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';
import { shownNode } from './shown-node.ts';

const byName = v.object({ name: Name });
const about = { tag: 'Nodes', bearer: 'userToken' } as const;

export function nodeRoutes(master: Master) {
  const { store, fleet, callers, now } = master;
  const shown = (node: StoredNode) => shownNode(fleet, node);
  const etagOfNode = ({ connected, applied, problem, vrrp, vip, healthy, reasons, seenAt, ...node }: NodeResource) =>
    etagOf(node, { connected, applied, problem, vrrp, vip, healthy, reasons, seenAt });

  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get(
      '/v1/nodes',
      (context) =>
        paged(context, 'name', (asked) => {
          const page = pageOfNodes(store, asked);
          return { ...page, rows: page.rows.map(shown) };
        }),
      {
        query: NodeList,
        response: { 200: pageOf(NodeResource) },
        detail: operation('listNodes', 'All nodes, and what they last reported', { ...about, traits: ['paged'] }),
      },
    )
    .post(
      '/v1/nodes',
      ({ body, actor, create }) => {
        if (!isUsableSigningKey(body.agentKey)) throw new Refusal('key-refused', 'Make a new key pair for the agent.');
        return create({
          make: () => shown(granted(addNode(store, body, actor, now()))),
          answer: NodeResource,
          headersOf: (node) => ({ location: `/v1/nodes/${node.name}`, etag: etagOfNode(node) }),
        });
      },
      {
        parse: readCallersJson(master),
        body: NewNode,
        response: { 201: NodeResource },
        detail: operation('addNode', 'Add a node', {
          ...about,
          needs: 'own',
          traits: ['tagged', 'repeatable'],
          problems: ['already-exists', 'key-refused', 'key-taken', 'pool-exhausted'],
        }),
      },
    )
    .get(
      '/v1/nodes/:name',
      ({ params, request, set }) => {
        const node = shown(found(findNode(store, params.name)));
        return tagged({ request, set }, node, etagOfNode(node));
      },
      {
        params: byName,
        response: { 200: NodeResource },
        detail: operation('getNode', 'One node', { ...about, traits: ['tagged'], problems: ['not-found'] }),
      },
    )
    .patch(
      '/v1/nodes/:name',
      ({ params, body, actor, request, set }) => {
        const { draining, ...places } = body;
        if (Object.keys(places).length > 0) callers.userWhoMay(request, 'own');
        expectMatch(request, etagOfNode(shown(found(findNode(store, params.name)))));
        const node = shown(granted(changeNode(store, params.name, body, actor, now())));
        return tagged({ request, set }, node, etagOfNode(node));
      },
      {
        parse: readCallersJson(master),
        params: byName,
        body: NodeChange,
        response: { 200: NodeResource },
        detail: operation('changeNode', 'Say where a node is reached, how much it is preferred, or drain it', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['not-found', 'in-use'],
        }),
      },
    )
    .delete(
      '/v1/nodes/:name',
      async ({ params, actor, request, set }) => {
        expectMatch(request, etagOfNode(shown(found(findNode(store, params.name)))));
        granted(removeNode(store, params.name, actor, now()));
        await store.settled();
        fleet.expel(params.name);
        fleet.reported();
        set.status = 204;
      },
      {
        params: byName,
        detail: operation('removeNode', 'Remove a node and end its channel', {
          ...about,
          needs: 'own',
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found', 'in-use'],
        }),
      },
    );
}
