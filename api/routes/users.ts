import { Elysia } from 'elysia';
import * as v from 'valibot';
import { NewUser, User, UserChange } from '#contract/admin.ts';
import { Id } from '#contract/name.ts';
import { actOfAdding, actOfChanging } from '../decisions/permissions.ts';
import { found, granted } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { addUser, allUsers, changeUser, findUser, removeUser } from '../store/users.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Users', bearer: 'userToken' } as const;

export function userRoutes(master: Master) {
  const { store, callers, now } = master;
  const parse = readCallersJson(master);
  return new Elysia()
    .use(adminArea(master))
    .get('/v1/users', () => ({ items: allUsers(store) }), {
      response: { 200: v.object({ items: v.array(User) }) },
      detail: operation('listUsers', 'All users', about),
    })
    .post(
      '/v1/users',
      ({ body, actor, request, status }) => {
        callers.userWhoMay(request, actOfAdding(body.permission));
        return status(201, granted(addUser(store, body, actor, now())));
      },
      {
        parse,
        body: NewUser,
        response: { 201: User },
        detail: operation('addUser', 'Add a user', { ...about, problems: ['already-exists'] }),
      },
    )
    .get('/v1/users/:id', ({ params }) => found(findUser(store, params.id)), {
      params: byId,
      response: { 200: User },
      detail: operation('getUser', 'One user', { ...about, problems: ['not-found'] }),
    })
    .patch(
      '/v1/users/:id',
      ({ params, body, actor, request }) => {
        callers.userWhoMay(request, actOfChanging(found(findUser(store, params.id)), body));
        return granted(changeUser(store, params.id, body, actor, now()));
      },
      {
        parse,
        params: byId,
        body: UserChange,
        response: { 200: User },
        detail: operation('changeUser', 'Change a role or permission, disable or enable', {
          ...about,
          problems: ['not-found', 'last-owner'],
        }),
      },
    )
    .delete(
      '/v1/users/:id',
      ({ params, actor, request, set }) => {
        callers.userWhoMay(request, actOfChanging(found(findUser(store, params.id))));
        granted(removeUser(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('removeUser', 'Remove a user with all its devices', {
          ...about,
          answer: noContent,
          problems: ['not-found', 'last-owner'],
        }),
      },
    );
}
