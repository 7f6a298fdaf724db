import { Elysia } from 'elysia';
import * as v from 'valibot';
import { NewNode, NodeResource } from '#contract/admin.ts';
import { Name } from '#contract/name.ts';
import { isUsableSigningKey } from '../decisions/signing-key.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addNode, allNodes, findNode, removeNode, type StoredNode } from '../store/nodes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byName = v.object({ name: Name });
const about = { tag: 'Nodes', bearer: 'userToken' } as const;

export function nodeRoutes(master: Master) {
  const { store, fleet, callers, now } = master;
  const shown = ({ agentKey, ...node }: StoredNode): NodeResource => ({
    ...node,
    connected: fleet.isConnected(node.name),
  });
  return new Elysia()
    .use(adminArea(master))
    .get('/v1/nodes', () => ({ items: allNodes(store).map(shown) }), {
      response: { 200: v.object({ items: v.array(NodeResource) }) },
      detail: operation('listNodes', 'All nodes, and what they last reported', about),
    })
    .post(
      '/v1/nodes',
      ({ body, actor, request, status }) => {
        callers.userWhoMay(request, 'own');
        if (!isUsableSigningKey(body.agentKey)) throw new Refusal('key-refused', 'Make a new key pair for the agent.');
        return status(201, shown(granted(addNode(store, body, actor, now()))));
      },
      {
        parse: readCallersJson(master),
        body: NewNode,
        response: { 201: NodeResource },
        detail: operation('addNode', 'Add a node', {
          ...about,
          problems: ['already-exists', 'key-refused', 'key-taken', 'pool-exhausted'],
        }),
      },
    )
    .get('/v1/nodes/:name', ({ params }) => shown(found(findNode(store, params.name))), {
      params: byName,
      response: { 200: NodeResource },
      detail: operation('getNode', 'One node', { ...about, problems: ['not-found'] }),
    })
    .delete(
      '/v1/nodes/:name',
      async ({ params, actor, request, set }) => {
        callers.userWhoMay(request, 'own');
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
          answer: noContent,
          problems: ['not-found', 'in-use'],
        }),
      },
    );
}
