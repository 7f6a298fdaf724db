import { isIP } from 'node:net';
import { Elysia } from 'elysia';
import * as v from 'valibot';
import { DeliveryList, pageOf, WebhookList } from '#contract/lists.ts';
import { Id } from '#contract/name.ts';
import {
  Delivery,
  IssuedWebhook,
  NewWebhook,
  TestResult,
  testEventType,
  Webhook,
  WebhookChange,
  type WebhookPayload,
} from '#contract/webhook.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { pageOfDeliveries } from '../store/webhook-outbox.ts';
import {
  addWebhook,
  changeWebhook,
  findWebhook,
  pageOfWebhooks,
  removeWebhook,
  rotateSecret,
  type StoredWebhook,
} from '../store/webhooks.ts';
import { newSecrets, openSecrets, rotated, sealSecrets, signedHeaders } from '../webhooks/secrets.ts';
import { send } from '../webhooks/send.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Webhooks', bearer: 'userToken', needs: 'own' } as const;

/** Where events go is for owners: they tell outsiders what happens here. */
export function webhookRoutes(master: Master) {
  const { store, now } = master;
  const { box, sender } = master.webhooks;
  const byIdFound = (id: string) => found(findWebhook(store, id));

  const attempt = async (webhook: StoredWebhook, actor: string): Promise<TestResult> => {
    const secrets = openSecrets(box, webhook.sealed);
    if (secrets === undefined) return { delivered: false, status: null, problem: 'secret-unreadable' };
    const payload: WebhookPayload = {
      type: testEventType,
      timestamp: now().toISOString(),
      data: { actor, subject: webhook.id },
    };
    const body = JSON.stringify(payload);
    const eventId = `evt_${Bun.randomUUIDv7().replaceAll('-', '')}`;
    const outcome = await send(sender, new URL(webhook.url), signedHeaders(secrets, eventId, body, now()), body);
    return { delivered: outcome.ok, status: outcome.status, problem: outcome.ok ? null : outcome.problem };
  };

  /** A name is looked at when something is sent: what it leads to may change. */
  const refuseClosedAddress = (url: string | undefined) => {
    const host = url === undefined ? '' : new URL(url).hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) === 0 || sender.mayReceive(host)) return;
    const message = 'is an address that webhooks are not sent to; the operator opens some with serve --webhook-allow';
    throw new Refusal('invalid-input', undefined, [{ path: 'url', message }]);
  };

  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get(
      '/v1/webhooks',
      (context) =>
        paged(context, 'createdAt', (asked) => {
          const page = pageOfWebhooks(store, asked);
          return { ...page, rows: page.rows.map(shown) };
        }),
      {
        query: WebhookList,
        response: { 200: pageOf(Webhook) },
        detail: operation('listWebhooks', 'Where events are sent to', { ...about, traits: ['paged'] }),
      },
    )
    .post(
      '/v1/webhooks',
      ({ body, actor, create }) => {
        refuseClosedAddress(body.url);
        const secrets = newSecrets();
        return create({
          make: () => {
            const added = granted(addWebhook(store, body, sealSecrets(box, secrets), actor, now()));
            return { ...shown(added), secret: secrets.current };
          },
          answer: IssuedWebhook,
          headersOf: ({ id }) => ({ location: `/v1/webhooks/${id}` }),
        });
      },
      {
        parse: readCallersJson(master),
        body: NewWebhook,
        response: { 201: IssuedWebhook },
        detail: operation('addWebhook', 'Send events to a receiver; the secret that signs them is shown this once', {
          ...about,
          traits: ['repeatable'],
          problems: ['limit-reached'],
        }),
      },
    )
    .get(
      '/v1/webhooks/:id',
      ({ params, request, set }) => {
        const webhook = shown(byIdFound(params.id));
        return tagged({ request, set }, webhook, etagOfWebhook(webhook));
      },
      {
        params: byId,
        response: { 200: Webhook },
        detail: operation('getWebhook', 'One webhook, without its secret', {
          ...about,
          traits: ['tagged'],
          problems: ['not-found'],
        }),
      },
    )
    .patch(
      '/v1/webhooks/:id',
      ({ params, body, actor, request, set }) => {
        refuseClosedAddress(body.url);
        expectMatch(request, etagOfWebhook(shown(byIdFound(params.id))));
        const changed = shown(granted(changeWebhook(store, params.id, body, actor, now())));
        return tagged({ request, set }, changed, etagOfWebhook(changed));
      },
      {
        parse: readCallersJson(master),
        params: byId,
        body: WebhookChange,
        response: { 200: Webhook },
        detail: operation('changeWebhook', 'Change a webhook; what waits for it is tried at once', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['not-found'],
        }),
      },
    )
    .delete(
      '/v1/webhooks/:id',
      ({ params, actor, request, set }) => {
        expectMatch(request, etagOfWebhook(shown(byIdFound(params.id))));
        granted(removeWebhook(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('removeWebhook', 'Remove a webhook with all that waits for it', {
          ...about,
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found'],
        }),
      },
    )
    .post(
      '/v1/webhooks/:id/rotate-secret',
      ({ params, actor, create }) => {
        const webhook = byIdFound(params.id);
        const before = openSecrets(box, webhook.sealed);
        // What cannot be opened any more cannot sign any more.
        const { secrets, until } =
          before === undefined ? { secrets: newSecrets(), until: now() } : rotated(before, now());
        return create({
          make: () => {
            const next = { sealed: sealSecrets(box, secrets), until };
            const changed = granted(rotateSecret(store, params.id, next, actor, now()));
            return { ...shown(changed), secret: secrets.current };
          },
          answer: IssuedWebhook,
          headersOf: () => ({ location: `/v1/webhooks/${params.id}` }),
        });
      },
      {
        params: byId,
        response: { 201: IssuedWebhook },
        detail: operation('rotateWebhookSecret', 'Make a new secret; for a day the one before signs too', {
          ...about,
          traits: ['repeatable'],
          problems: ['not-found'],
        }),
      },
    )
    .post('/v1/webhooks/:id/test', ({ params, actor }) => attempt(byIdFound(params.id), actor), {
      params: byId,
      response: { 200: TestResult },
      detail: operation('testWebhook', 'Send a test event now, once, and say what became of it', {
        ...about,
        problems: ['not-found'],
      }),
    })
    .get(
      '/v1/webhooks/:id/deliveries',
      (context) => {
        const { id } = byIdFound(context.params.id);
        return paged(context, '-createdAt', (asked) => pageOfDeliveries(store, id, context.query, asked));
      },
      {
        params: byId,
        query: DeliveryList,
        response: { 200: pageOf(Delivery) },
        detail: operation('listDeliveries', 'What was sent to a webhook in the last week, and what waits', {
          ...about,
          traits: ['paged'],
          problems: ['not-found'],
        }),
      },
    );
}

function shown({ sealed: _, ...webhook }: StoredWebhook): Webhook {
  return webhook;
}

function etagOfWebhook({ failures, waiting, nextAttemptAt, ...stored }: Webhook): string {
  return etagOf(stored, { failures, waiting, nextAttemptAt });
}
