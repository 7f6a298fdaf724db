import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Code, IssuedCode, NewCode } from '#contract/admin.ts';
import { codeFromBytes, normaliseCode } from '#contract/code.ts';
import { CodeList, pageOf, UserCodeList } from '#contract/lists.ts';
import { Id } from '#contract/name.ts';
import { joinLine } from '../decisions/join-line.ts';
import { sha256Hex } from '../formats/hash.ts';
import { etagOf, expectMatch, tagged } from '../http/etags.ts';
import { type Making, repeatable } from '../http/idempotency.ts';
import { paged } from '../http/paging.ts';
import { found, granted } from '../http/refusal.ts';
import { signCodeBacking } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { addCode, findCode, pageOfCodes, shownCode, withdrawCode } from '../store/codes.ts';
import { readSettings } from '../store/settings.ts';
import { findUser } from '../store/users.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

const byId = v.object({ id: Id });
const about = { tag: 'Codes', bearer: 'userToken' } as const;
const defaultTtlSeconds = 86_400;

export function codeRoutes(master: Master) {
  const { store, now } = master;
  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get(
      '/v1/codes',
      (context) => paged(context, 'createdAt', (asked) => pageOfCodes(store, context.query, asked, now())),
      {
        query: CodeList,
        response: { 200: pageOf(Code) },
        detail: operation('listAllCodes', 'All codes and what became of them', { ...about, traits: ['paged'] }),
      },
    )
    .get(
      '/v1/users/:id/codes',
      (context) => {
        const { id: userId } = found(findUser(store, context.params.id));
        return paged(context, 'createdAt', (asked) => pageOfCodes(store, { ...context.query, userId }, asked, now()));
      },
      {
        params: byId,
        query: UserCodeList,
        response: { 200: pageOf(Code) },
        detail: operation('listCodes', "A user's codes and what became of them", {
          ...about,
          traits: ['paged'],
          problems: ['not-found'],
        }),
      },
    )
    .post(
      '/v1/users/:id/codes',
      ({ params, body, actor, createAfter }) => {
        found(findUser(store, params.id));
        return createAfter(
          () => prepareCode(master, params.id, body),
          (prepared) => issuing(master, prepared, actor),
        );
      },
      {
        parse: readCallersJson(master),
        params: byId,
        body: NewCode,
        response: { 201: IssuedCode },
        detail: operation('issueCode', 'Make a code that enrols one device; it is shown this once', {
          ...about,
          traits: ['repeatable'],
          problems: ['not-found', 'in-use'],
        }),
      },
    )
    .get(
      '/v1/codes/:id',
      ({ params, request, set }) => {
        const code = shownCode(found(findCode(store, params.id)), now());
        return tagged({ request, set }, code, etagOf(code));
      },
      {
        params: byId,
        response: { 200: Code },
        detail: operation('getCode', 'What became of a code, and the device that used it', {
          ...about,
          traits: ['tagged'],
          problems: ['not-found'],
        }),
      },
    )
    .delete(
      '/v1/codes/:id',
      ({ params, actor, request, set }) => {
        expectMatch(request, etagOf(shownCode(found(findCode(store, params.id)), now())));
        granted(withdrawCode(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('withdrawCode', 'Withdraw a code that no device has used', {
          ...about,
          traits: ['conditional'],
          answer: noContent,
          problems: ['not-found', 'code-used'],
        }),
      },
    );
}

type Prepared = Awaited<ReturnType<typeof prepareCode>>;

/** A code and the signed statement that backs it; nothing is stored yet. */
async function prepareCode({ store, keys, now }: Master, userId: string, { ttl, device }: NewCode) {
  const issuedAt = now();
  const { epoch } = readSettings(store);
  const code = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
  const id = Bun.randomUUIDv7();
  const hash = sha256Hex(normaliseCode(code));
  // Whole seconds, as the JWT that backs the code counts.
  const expiresAt = new Date((Math.floor(issuedAt.getTime() / 1000) + (ttl ?? defaultTtlSeconds)) * 1000);
  const backing = await signCodeBacking({ jti: id, sub: userId, hash, epoch }, expiresAt, keys.tokens, issuedAt);
  const kept = {
    id,
    userId,
    hash,
    backing,
    expiresAt: expiresAt.toISOString(),
    ...(device === undefined ? {} : { device }),
  };
  return { code, kept, issuedAt };
}

function issuing(
  { store, trust, releases }: Master,
  { code, kept, issuedAt }: Prepared,
  actor: string,
): Making<IssuedCode> {
  const script = releases.read('join.sh');
  const scriptSha256 = script === undefined ? undefined : sha256Hex(script);
  const { publicUrl } = readSettings(store);
  return {
    make() {
      granted(addCode(store, kept, actor, issuedAt));
      const { id, expiresAt } = kept;
      return { id, code, expiresAt, join: { sh: joinLine(publicUrl, trust.rootThumbprint, scriptSha256) } };
    },
    answer: IssuedCode,
    headersOf: ({ id }) => ({ location: `/v1/codes/${id}` }),
  };
}
