import { Elysia } from 'elysia';
import * as v from 'valibot';
import { NewMesh, NodeResource } from '#contract/admin.ts';
import { AgentReport, CachedBundle } from '#contract/agent.ts';
import { commonHeaders } from '../http/errors.ts';
import { reportLimit } from '../http/read-json.ts';
import { granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { recordReport, setMesh } from '../store/nodes.ts';
import { recordOutages } from '../store/outages.ts';
import { agentArea, readCallersJson } from './areas.ts';
import { noContent, operation, text } from './documentation.ts';
import { shownNode } from './shown-node.ts';
import { heedHeld } from './witness.ts';

const about = { tag: 'Agents', bearer: 'agentToken' } as const;

/** `after` is the revision of the snapshot whose bundles the agent has; 0, the default, for none. */
const After = v.object({
  after: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be a revision'), v.transform(Number))),
});

export function agentRoutes(master: Master) {
  const { store, fleet, published, openChannel, metrics, now } = master;
  return new Elysia()
    .use(agentArea(master))
    .get(
      '/v1/agent/channel',
      ({ node, tokenExpiresAt, request }) => {
        if (!openChannel(request, { node: node.name, expiresAt: tokenExpiresAt }))
          throw new Refusal('malformed-request', 'This route is a WebSocket: ask for an upgrade.');
      },
      {
        detail: operation('openChannel', 'A WebSocket that names the current revision at once and at each change', {
          ...about,
          answer: { status: '101', description: 'A WebSocket of {epoch, revision} texts' },
          problems: ['malformed-request'],
        }),
      },
    )
    .get(
      '/v1/agent/snapshot',
      async ({ node, request }) => {
        heedHeld(master, node.name, request);
        const { tag, jws } = await published.snapshot();
        const etag = `"${tag}"`;
        const headers = { ...commonHeaders, etag, 'content-type': 'application/jose' };
        const known = request.headers.get('if-none-match')?.split(',') ?? [];
        if (known.some((tag) => tag.trim() === etag)) return new Response(null, { status: 304, headers });
        return new Response(jws, { headers });
      },
      {
        detail: operation('getSnapshot', 'The newest snapshot; with If-None-Match, 304 when it is known', {
          ...about,
          answer: text('application/jose', 'A compact JWS of type postern-snapshot+jws'),
          problems: ['witness-wanted', 'not-ready'],
        }),
      },
    )
    .get('/v1/agent/bundles', async ({ query }) => ({ items: await published.bundlesSince(query.after ?? 0) }), {
      query: After,
      response: { 200: v.object({ items: v.array(CachedBundle) }) },
      detail: operation('listBundles', 'The bundles that are new since the snapshot of a revision', about),
    })
    .get('/v1/agent/node', ({ node }) => shownNode(fleet, node), {
      response: { 200: NodeResource },
      detail: operation('getOwnNode', 'The node itself, as admins see it', about),
    })
    .put(
      '/v1/agent/mesh',
      ({ body, node, set }) => {
        granted(setMesh(store, node.name, body, `node ${node.name}`, now()));
        set.status = 204;
      },
      {
        parse: readCallersJson(master),
        body: NewMesh,
        detail: operation('joinMesh', 'Say by which key the node is known in the mesh', {
          ...about,
          answer: noContent,
          problems: ['key-taken'],
        }),
      },
    )
    .post(
      '/v1/agent/reports',
      async ({ body, node, set }) => {
        const felt = store.write(() => {
          recordReport(store, node.name, body, now());
          return recordOutages(store, node.name, body.outages ?? [], now());
        });
        await store.settled();
        metrics.outages(felt);
        if (body.peers !== undefined) fleet.recordPeers(node.name, body.peers);
        fleet.reported();
        set.status = 204;
      },
      {
        parse: readCallersJson(master, reportLimit),
        body: AgentReport,
        detail: operation('report', 'What the agent has in force and sees', { ...about, answer: noContent }),
      },
    );
}
