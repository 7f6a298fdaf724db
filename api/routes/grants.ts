import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { AccessQuestion, GrantLines, NewGrant } from '#contract/policy-admin.ts';
import { readGrant } from '../decisions/access-question.ts';
import { repeatable } from '../http/idempotency.ts';
import { granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { textOfLines } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';
import { expectPolicy } from './policy-etag.ts';

const about = { tag: 'Grants', bearer: 'userToken' } as const;

/** Single `allow` lines of the policy. They are listed by `GET /v1/policy/effective`. */
export function grantRoutes(master: Master) {
  const { store, desk, now } = master;
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .post(
      '/v1/grants',
      ({ body, actor, request, createAfter }) =>
        desk.exclusively(() =>
          createAfter(
            () => {
              expectPolicy(request, store);
              return desk.prepareEdit({ kind: 'add', statements: [granted(readGrant(body)).line] });
            },
            ({ prepared, lines }) => ({
              make: () => {
                const by = { actor, act: 'grant.add', subject: body.subject, detail: { ...body }, note: null };
                const { policy } = putInForce(store, prepared, by, now());
                return { revision: policy, lines: textOfLines(store, lines) };
              },
              answer: GrantLines,
              headersOf: () => ({}),
            }),
          ),
        ),
      {
        parse: readCallersJson(master),
        body: NewGrant,
        response: { 201: GrantLines },
        detail: operation('addGrant', 'Let a subject reach a target: one line more', {
          ...about,
          traits: ['conditional', 'repeatable'],
          problems: ['already-exists', 'policy-refused', 'not-ready'],
        }),
      },
    )
    .delete(
      '/v1/grants',
      async ({ query, actor, request }) => {
        const wanted = { subject: query.subject, target: query.target };
        const ports = query.ports?.split(',');
        const grant = granted(readGrant({ ...wanted, ...(ports === undefined ? {} : { ports }) }));
        const { snapshot } = await desk.exclusively(async () => {
          expectPolicy(request, store);
          const { subject, target } = grant;
          const exactly = ports === undefined ? {} : { ports: grant.ports };
          const { prepared } = await desk.prepareEdit({ kind: 'remove-grant', subject, target, ...exactly });
          const by = { actor, act: 'grant.remove', subject: query.subject, detail: { ...query }, note: null };
          return putInForce(store, prepared, by, now());
        });
        return converge(master, snapshot);
      },
      {
        query: v.strictObject({
          subject: AccessQuestion.entries.subject,
          target: AccessQuestion.entries.target,
          ports: v.optional(
            v.pipe(
              v.string(),
              v.maxLength(200),
              v.description('Such as tcp/22,tcp/443: lines with exactly these ports alone; else whatever the ports.'),
            ),
          ),
        }),
        response: { 200: Convergence },
        detail: operation('removeGrant', 'Take a grant away; lines that give more keep the rest', {
          ...about,
          traits: ['conditional'],
          problems: ['not-found', 'policy-refused', 'not-ready'],
        }),
      },
    );
}
