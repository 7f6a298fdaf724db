import { Elysia } from 'elysia';
import * as v from 'valibot';
import { NewUser, User, UserChange, WantedUser } from '#contract/admin.ts';
import { pageOf, UserList } from '#contract/lists.ts';
import { Email, Id } from '#contract/name.ts';
import { actOfAdding, actOfChanging } from '../decisions/permissions.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addUser, changeUser, findUser, findUserByEmail, pageOfUsers, putUser, removeUser } from '../store/users.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const byEmail = v.object({ email: Email });
const about = { tag: 'Users', bearer: 'userToken' } as const;

export function userRoutes(master: Master) {
  const { store, callers, now } = master;
  const parse = readCallersJson(master);
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get('/v1/users', (context) => paged(context, 'email', (asked) => pageOfUsers(store, context.query, asked)), {
      query: UserList,
      response: { 200: pageOf(User) },
      detail: operation('listUsers', 'All users, page by page', { ...about, traits: ['paged'] }),
    })
    .post(
      '/v1/users',
      ({ body, actor, request, create }) => {
        callers.userWhoMay(request, actOfAdding(body.permission));
        return create({
          make: () => granted(addUser(store, body, actor, now())),
          answer: User,
          headersOf: (user) => ({ location: `/v1/users/${user.id}`, etag: etagOf(user) }),
        });
      },
      {
        parse,
        body: NewUser,
        response: { 201: User },
        detail: operation('addUser', 'Add a user', {
          ...about,
          traits: ['tagged', 'repeatable'],
          problems: ['already-exists'],
        }),
      },
    )
    .get(
      '/v1/users/:id',
      ({ params, request, set }) => {
        const user = found(findUser(store, params.id));
        return tagged({ request, set }, user, etagOf(user));
      },
      {
        params: byId,
        response: { 200: User },
        detail: operation('getUser', 'One user', { ...about, traits: ['tagged'], problems: ['not-found'] }),
      },
    )
    .patch(
      '/v1/users/:id',
      ({ params, body, actor, request, set }) => {
        const user = found(findUser(store, params.id));
        callers.userWhoMay(request, actOfChanging(user, body));
        expectMatch(request, etagOf(user));
        const changed = granted(changeUser(store, params.id, body, actor, now()));
        return tagged({ request, set }, changed, etagOf(changed));
      },
      {
        parse,
        params: byId,
        body: UserChange,
        response: { 200: User },
        detail: operation('changeUser', 'Change a role or permission, disable or enable', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['not-found', 'last-owner'],
        }),
      },
    )
    .delete(
      '/v1/users/:id',
      ({ params, actor, request, set }) => {
        const user = found(findUser(store, params.id));
        callers.userWhoMay(request, actOfChanging(user));
        expectMatch(request, etagOf(user));
        granted(removeUser(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('removeUser', 'Remove a user with all its devices', {
          ...about,
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found', 'last-owner'],
        }),
      },
    )
    .get(
      '/v1/users/by-email/:email',
      ({ params, request, set }) => {
        const user = found(findUserByEmail(store, params.email));
        return tagged({ request, set }, user, etagOf(user));
      },
      {
        params: byEmail,
        response: { 200: User },
        detail: operation('getUserByEmail', 'One user, by e-mail address', {
          ...about,
          traits: ['tagged'],
          problems: ['not-found'],
        }),
      },
    )
    .put(
      '/v1/users/by-email/:email',
      ({ params, body, actor, request, set, status }) => {
        const known = findUserByEmail(store, params.email);
        const act = known === undefined ? actOfAdding(body.permission) : actOfChanging(known, body);
        callers.userWhoMay(request, act);
        expectMatch(request, known && etagOf(known));
        const { user, added } = granted(putUser(store, params.email, body, actor, now()));
        return status(added ? 201 : 200, tagged({ request, set }, user, etagOf(user)));
      },
      {
        parse,
        params: byEmail,
        body: WantedUser,
        response: { 200: User, 201: User },
        detail: operation('putUserByEmail', 'Add a user or change the one there is; sent again, it changes nothing', {
          ...about,
          traits: ['tagged', 'conditional'],
          problems: ['last-owner'],
        }),
      },
    );
}
