import { Elysia } from 'elysia';
import * as v from 'valibot';
import { pageOf, TokenList } from '#contract/lists.ts';
import { Id } from '#contract/name.ts';
import { ApiToken, IssuedToken, NewToken } from '#contract/token.ts';
import { type Grant, may, mayRevoke, maySee, newTokenOf } from '../decisions/permissions.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addToken, findToken, pageOfTokens, revokeToken } from '../store/api-tokens.ts';
import { findUser } from '../store/users.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Tokens', bearer: 'userToken', needs: 'read' } as const;

/** Everybody with a permission has tokens of their own; owners see and revoke those of all. */
export function tokenRoutes(master: Master) {
  const { store, uses, now } = master;
  const shown = (token: ApiToken): ApiToken => ({ ...token, lastUsedAt: uses.lastUse(token) });
  const etagOfToken = ({ lastUsedAt, ...token }: ApiToken) => etagOf(token, { lastUsedAt });
  const tokenFor = (viewer: Grant & { userId: string }, id: string): ApiToken => {
    const token = found(findToken(store, id));
    if (!maySee(viewer, token)) throw new Refusal('not-found');
    return token;
  };
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get(
      '/v1/tokens',
      (context) =>
        paged(context, 'createdAt', (asked) => {
          const { grant, query } = context;
          const userId = may(grant.permission, 'own') ? query.userId : grant.userId;
          const page = pageOfTokens(store, userId === undefined ? {} : { userId }, asked);
          return { ...page, rows: page.rows.map(shown) };
        }),
      {
        query: TokenList,
        response: { 200: pageOf(ApiToken) },
        detail: operation('listTokens', 'Your tokens; for owners those of all', { ...about, traits: ['paged'] }),
      },
    )
    .post(
      '/v1/tokens',
      ({ body, actor, grant, create }) => {
        const holder = found(findUser(store, body.userId ?? grant.userId));
        const allowed = granted(newTokenOf(body, grant, holder, now()));
        return create({
          make: () => granted(addToken(store, { ...allowed, name: body.name, userId: holder.id }, actor, now())),
          answer: IssuedToken,
          headersOf: ({ id }) => ({ location: `/v1/tokens/${id}` }),
        });
      },
      {
        parse: readCallersJson(master),
        body: NewToken,
        response: { 201: IssuedToken },
        detail: operation('addToken', 'Make an API token; it is shown this once', {
          ...about,
          traits: ['repeatable'],
          problems: ['not-found'],
        }),
      },
    )
    .get(
      '/v1/tokens/:id',
      ({ params, grant, request, set }) => {
        const token = shown(tokenFor(grant, params.id));
        return tagged({ request, set }, token, etagOfToken(token));
      },
      {
        params: byId,
        response: { 200: ApiToken },
        detail: operation('getToken', 'One token, without its secret', {
          ...about,
          traits: ['tagged'],
          problems: ['not-found'],
        }),
      },
    )
    .delete(
      '/v1/tokens/:id',
      ({ params, actor, grant, request, set }) => {
        const token = tokenFor(grant, params.id);
        expectMatch(request, etagOfToken(token));
        if (!mayRevoke(grant, token))
          throw new Refusal('permission-denied', 'The token may do more than yours; revoke it with one like it.');
        granted(revokeToken(store, token.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('revokeToken', 'Revoke a token; it is void at once', {
          ...about,
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found'],
        }),
      },
    );
}
