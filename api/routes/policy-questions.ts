import { Elysia } from 'elysia';
import {
  AccessExplanation,
  AccessQuestion,
  PolicyCheck,
  PolicyComparison,
  PolicyDiff,
  PolicyFormatted,
  PolicyQuestion,
} from '#contract/policy-admin.ts';
import { hasErrors } from '#policies/language/diagnostic.ts';
import { readQuestion } from '../decisions/access-question.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { findPolicyRevision } from '../store/policies.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { operation } from './documentation.ts';
import { documentLimit } from './policy.ts';

const about = { tag: 'Policy', bearer: 'userToken', needs: 'read' } as const;

/** Questions about the policy. They are long, so they are posted; they change nothing, so auditors may ask them. */
export function policyQuestionRoutes(master: Master) {
  const { store, desk } = master;
  return new Elysia()
    .use(adminArea(master))
    .post(
      '/v1/policy/check',
      async ({ body }) => {
        const diagnostics = await desk.check(body.document);
        return { ok: !hasErrors(diagnostics), diagnostics };
      },
      {
        parse: readCallersJson(master, documentLimit),
        body: PolicyQuestion,
        response: { 200: PolicyCheck },
        detail: operation('checkPolicy', 'All that is wrong with a document, or worth knowing of it', {
          ...about,
          problems: ['pool-exhausted', 'not-ready'],
        }),
      },
    )
    .post(
      '/v1/policy/diff',
      ({ body }) => {
        if ('document' in body) return desk.compare(body.document);
        return desk.compareEarlier(found(findPolicyRevision(store, body.revision)).document);
      },
      {
        parse: readCallersJson(master, documentLimit),
        body: PolicyComparison,
        response: { 200: PolicyDiff },
        detail: operation('diffPolicy', 'What a document, or an earlier one, would give and take', {
          ...about,
          problems: ['not-found', 'policy-refused', 'pool-exhausted', 'not-ready'],
        }),
      },
    )
    .post('/v1/policy/format', async ({ body }) => ({ document: await desk.format(body.document) }), {
      parse: readCallersJson(master, documentLimit),
      body: PolicyQuestion,
      response: { 200: PolicyFormatted },
      detail: operation('formatPolicy', 'A document in its plain form, saying the same', {
        ...about,
        problems: ['not-ready'],
      }),
    })
    .post('/v1/policy/explain', ({ body }) => desk.explain(granted(readQuestion(body))), {
      parse: readCallersJson(master),
      body: AccessQuestion,
      response: { 200: AccessExplanation },
      detail: operation('explainPolicy', 'Who may reach what, by which line, through which node', {
        ...about,
        problems: ['not-ready'],
      }),
    });
}
