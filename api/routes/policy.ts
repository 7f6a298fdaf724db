import { Elysia } from 'elysia';
import * as v from 'valibot';
import { PolicyRevisionList, pageOf } from '#contract/lists.ts';
import {
  EffectivePolicy,
  NewPolicy,
  PolicyChanged,
  PolicyResource,
  PolicyRevision,
  PolicyRevisionText,
  PolicyRollback,
} from '#contract/policy-admin.ts';
import { tagged } from '../http/etags.ts';
import { paged } from '../http/paging.ts';
import { found, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import type { Draft } from '../policy/desk.ts';
import { findPolicyRevision, pageOfPolicyRevisions, policyInForce } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';
import { expectPolicy, policyEtag } from './policy-etag.ts';

/** A document has at most a million characters, almost all of them one byte. */
export const documentLimit = 4 * 1024 * 1024;

const about = { tag: 'Policy', bearer: 'userToken' } as const;
const Try = v.strictObject({
  dryRun: v.optional(
    v.pipe(
      v.picklist(['true', 'false']),
      v.transform((text) => text === 'true'),
      v.description('With `true` all is looked at and nothing is changed.'),
    ),
  ),
});

export function policyRoutes(master: Master) {
  const { store, desk, now } = master;

  const inForce = (warnings: PolicyResource['warnings']): PolicyResource => {
    const { revision, document, at, actor, note } = policyInForce(store);
    return { revision, document, updatedAt: at, updatedBy: actor, note, warnings };
  };

  type Change = { request: Request; actor: string; document: string; note?: string | undefined; act: string };

  const change = async (wanted: Change, dryRun: boolean, detail: Record<string, unknown> = {}) => {
    const { request, actor, document, note = null, act } = wanted;
    const done = await desk.exclusively(async (): Promise<Draft & { snapshot?: number }> => {
      expectPolicy(request, store, 'required');
      const draft = await desk.prepare(document);
      if (dryRun) return draft;
      const { snapshot } = putInForce(store, draft.prepared, { actor, act, note, detail }, now());
      return { ...draft, snapshot };
    });
    const { warnings, diff, snapshot } = done;
    if (snapshot === undefined) return { ...inForce(warnings), document, diff, convergence: null };
    const changed = inForce(warnings);
    return { ...changed, diff, convergence: await converge(master, snapshot) };
  };

  return new Elysia()
    .use(adminArea(master))
    .get(
      '/v1/policy',
      async ({ request, set }) => {
        const etag = policyEtag(policyInForce(store).revision);
        if (request.headers.get('if-none-match') === etag) return tagged({ request, set }, inForce([]), etag);
        const { document } = policyInForce(store);
        const policy = inForce(await desk.check(document));
        return tagged({ request, set }, policy, policyEtag(policy.revision));
      },
      {
        response: { 200: PolicyResource },
        detail: operation('getPolicy', 'The policy in force, with what is worth knowing of it now', {
          ...about,
          traits: ['tagged'],
          problems: ['not-ready'],
        }),
      },
    )
    .put(
      '/v1/policy',
      async ({ body, query, actor, request, set }) => {
        const wanted = { request, actor, document: body.document, note: body.note, act: 'policy.put' };
        const changed = await change(wanted, query.dryRun === true);
        return tagged({ request, set }, changed, policyEtag(changed.revision));
      },
      {
        parse: readCallersJson(master, documentLimit),
        query: Try,
        body: NewPolicy,
        response: { 200: PolicyChanged },
        detail: operation('putPolicy', 'Put a document in force: checked, tested, and whole or not at all', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['policy-refused', 'precondition-required', 'pool-exhausted', 'not-ready'],
        }),
      },
    )
    .get(
      '/v1/policy/effective',
      async () => ({ revision: policyInForce(store).revision, ...(await desk.effective()) }),
      {
        response: { 200: EffectivePolicy },
        detail: operation('getEffectivePolicy', 'All that is open now, also what no line says', {
          ...about,
          problems: ['not-ready'],
        }),
      },
    )
    .get(
      '/v1/policy/revisions',
      (context) => paged(context, '-revision', (asked) => pageOfPolicyRevisions(store, asked)),
      {
        query: PolicyRevisionList,
        response: { 200: pageOf(PolicyRevision) },
        detail: operation('listPolicyRevisions', 'Every document that was ever in force, the newest first', {
          ...about,
          traits: ['paged'],
        }),
      },
    )
    .get('/v1/policy/revisions/:revision', ({ params }) => found(findPolicyRevision(store, params.revision)), {
      params: v.object({
        revision: v.pipe(v.string(), v.regex(/^[1-9]\d{0,8}$/, 'must be a revision'), v.transform(Number)),
      }),
      response: { 200: PolicyRevisionText },
      detail: operation('getPolicyRevision', 'A document as it was', { ...about, problems: ['not-found'] }),
    })
    .post(
      '/v1/policy/rollback',
      async ({ body, actor, request, set }) => {
        const earlier = findPolicyRevision(store, body.revision);
        if (earlier === undefined)
          throw new Refusal('not-found', 'There is no such revision. See GET /v1/policy/revisions.');
        const { document, revision } = earlier;
        const note = body.note ?? `Back to revision ${revision}`;
        const wanted = { request, actor, document, note, act: 'policy.rollback' };
        const changed = await change(wanted, false, { to: revision });
        return tagged({ request, set }, changed, policyEtag(changed.revision));
      },
      {
        parse: readCallersJson(master),
        body: PolicyRollback,
        response: { 200: PolicyChanged },
        detail: operation('rollBackPolicy', 'Put an earlier document in force again, as a new revision', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['not-found', 'policy-refused', 'precondition-required', 'pool-exhausted', 'not-ready'],
        }),
      },
    );
}
