import { Elysia } from 'elysia';
import * as v from 'valibot';
import { codeFromBytes, normaliseCode } from '#contract/code.ts';
import { NodeCodeList, pageOf } from '#contract/lists.ts';
import { Id } from '#contract/name.ts';
import { IssuedNodeCode, NewNodeCode, NodeCode } from '#contract/node-enrolment.ts';
import { nodeJoinLine } from '../decisions/join-line.ts';
import { sha256Hex } from '../formats/hash.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted } from '../http/refusal.ts';
import { signCodeBacking } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { addNodeCode, findNodeCode, pageOfNodeCodes, shownNodeCode, withdrawNodeCode } from '../store/node-codes.ts';
import { readSettings } from '../store/settings.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Nodes', bearer: 'userToken' } as const;
const defaultTtlSeconds = 3_600;

export function nodeCodeRoutes(master: Master) {
  const { store, trust, now } = master;
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get(
      '/v1/node-codes',
      (context) => paged(context, 'createdAt', (asked) => pageOfNodeCodes(store, context.query, asked, now())),
      {
        query: NodeCodeList,
        response: { 200: pageOf(NodeCode) },
        detail: operation('listNodeCodes', 'The codes for new nodes, and what became of them', {
          ...about,
          traits: ['paged'],
        }),
      },
    )
    .post(
      '/v1/node-codes',
      ({ body, actor, createAfter }) =>
        createAfter(
          () => prepareCode(master, body),
          ({ code, kept, issuedAt }) => ({
            make: () => {
              granted(addNodeCode(store, kept, actor, issuedAt));
              const { id, node: name, expiresAt } = kept;
              const sh = nodeJoinLine(readSettings(store).publicUrl, trust.rootThumbprint);
              return { id, name, code, expiresAt, join: { sh } };
            },
            answer: IssuedNodeCode,
            headersOf: ({ id }: IssuedNodeCode) => ({ location: `/v1/node-codes/${id}` }),
          }),
        ),
      {
        parse: readCallersJson(master),
        body: NewNodeCode,
        response: { 201: IssuedNodeCode },
        detail: operation('issueNodeCode', 'Make a code that lets one machine become a node; it is shown this once', {
          ...about,
          needs: 'own',
          traits: ['repeatable'],
          problems: ['already-exists'],
        }),
      },
    )
    .get(
      '/v1/node-codes/:id',
      ({ params, request, set }) => {
        const code = shownNodeCode(found(findNodeCode(store, params.id)), now());
        return tagged({ request, set }, code, etagOf(code));
      },
      {
        params: byId,
        response: { 200: NodeCode },
        detail: operation('getNodeCode', 'What became of a code for a node', {
          ...about,
          traits: ['tagged'],
          problems: ['not-found'],
        }),
      },
    )
    .delete(
      '/v1/node-codes/:id',
      ({ params, actor, request, set }) => {
        expectMatch(request, etagOf(shownNodeCode(found(findNodeCode(store, params.id)), now())));
        granted(withdrawNodeCode(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('withdrawNodeCode', 'Withdraw a code that no machine has used', {
          ...about,
          needs: 'own',
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found', 'code-used'],
        }),
      },
    );
}

/** A code and the signed statement that backs it; nothing is stored yet. */
async function prepareCode({ store, keys, now }: Master, { name, endpoints, priority, ttl }: NewNodeCode) {
  const issuedAt = now();
  const { epoch } = readSettings(store);
  const code = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
  const id = Bun.randomUUIDv7();
  const hash = sha256Hex(normaliseCode(code));
  // Whole seconds, as the JWT that backs the code counts.
  const expiresAt = new Date((Math.floor(issuedAt.getTime() / 1000) + (ttl ?? defaultTtlSeconds)) * 1000);
  const backing = await signCodeBacking({ jti: id, sub: name, hash, epoch }, expiresAt, keys.tokens, issuedAt);
  const kept = {
    id,
    node: name,
    hash,
    backing,
    endpoints: endpoints ?? null,
    priority: priority ?? null,
    expiresAt: expiresAt.toISOString(),
  };
  return { code, kept, issuedAt };
}
