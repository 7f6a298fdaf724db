import { Elysia } from 'elysia';
import { Health } from '#contract/admin.ts';
import { commonHeaders } from '../http/errors.ts';
import { found } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { readSettings } from '../store/settings.ts';
import { operation, text } from './documentation.ts';

/** What anybody may fetch: it is needed before there is trust, and says nothing about the installation's people. */
export function publicRoutes({ store, pulse, trust, releases }: Master) {
  const file = (name: 'join.sh' | 'postern-client.js' | 'manifest.jws', type: string): Response =>
    new Response(found(releases.read(name)), { headers: { ...commonHeaders, 'content-type': type } });

  return new Elysia()
    .get('/healthz', async () => ({ status: 'ok' as const, ...(await pulse()) }), {
      response: { 200: Health },
      detail: operation('getHealth', 'Whether the master serves and can store', { tag: 'Public' }),
    })
    .get(
      '/v1/trust',
      () => new Response(trust.jws, { headers: { ...commonHeaders, 'content-type': 'application/jose' } }),
      {
        detail: operation('getTrust', 'The working keys and TLS keys, signed by the root key', {
          tag: 'Public',
          answer: text('application/jose', 'A compact JWS of type postern-trust+jws'),
        }),
      },
    )
    .get(
      '/v1/authority',
      () =>
        new Response(found(readSettings(store).authority ?? undefined), {
          headers: { ...commonHeaders, 'content-type': 'application/x-pem-file' },
        }),
      {
        detail: operation('getAuthority', 'The certificate of the authority for names of the internal domain', {
          tag: 'Public',
          answer: text('application/x-pem-file', 'A certificate (PEM), held to that domain'),
          problems: ['not-found'],
        }),
      },
    )
    .get('/join.sh', () => file('join.sh', 'text/x-shellscript; charset=utf-8'), {
      detail: operation('getJoinScript', 'The script that a join line fetches and checks', {
        tag: 'Public',
        answer: text('text/x-shellscript', 'A POSIX shell script'),
        problems: ['not-found'],
      }),
    })
    .get('/client/manifest', () => file('manifest.jws', 'application/jose'), {
      detail: operation('getClientManifest', 'Sizes and hashes of the client, signed with the key for releases', {
        tag: 'Public',
        answer: text('application/jose', 'A compact JWS of type postern-manifest+jws'),
        problems: ['not-found'],
      }),
    })
    .get('/client/postern-client.js', () => file('postern-client.js', 'text/javascript; charset=utf-8'), {
      detail: operation('getClient', 'The client program, for Node or Bun', {
        tag: 'Public',
        answer: text('text/javascript', 'A program in one file'),
        problems: ['not-found'],
      }),
    });
}
