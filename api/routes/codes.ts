import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Code, IssuedCode, NewCode } from '#contract/admin.ts';
import { codeFromBytes, normaliseCode } from '#contract/code.ts';
import { Id } from '#contract/name.ts';
import { joinLine } from '../decisions/join-line.ts';
import { sha256Hex } from '../formats/hash.ts';
import { found, granted } from '../http/refusal.ts';
import { signCodeBacking } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { addCode, codesOfUser, withdrawCode } from '../store/codes.ts';
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
    .get(
      '/v1/users/:id/codes',
      ({ params }) => {
        found(findUser(store, params.id));
        return { items: codesOfUser(store, params.id, now()) };
      },
      {
        params: byId,
        response: { 200: v.object({ items: v.array(Code) }) },
        detail: operation('listCodes', "A user's codes and what became of them", { ...about, problems: ['not-found'] }),
      },
    )
    .post(
      '/v1/users/:id/codes',
      async ({ params, body, actor, status }) => {
        found(findUser(store, params.id));
        return status(201, await issueCode(master, params.id, body.ttl ?? defaultTtlSeconds, actor));
      },
      {
        parse: readCallersJson(master),
        params: byId,
        body: NewCode,
        response: { 201: IssuedCode },
        detail: operation('issueCode', 'Make a code that enrols one device; it is shown this once', {
          ...about,
          problems: ['not-found', 'in-use'],
        }),
      },
    )
    .delete(
      '/v1/codes/:id',
      ({ params, actor, set }) => {
        granted(withdrawCode(store, params.id, actor, now()));
        set.status = 204;
      },
      {
        params: byId,
        detail: operation('withdrawCode', 'Withdraw a code that no device has used', {
          ...about,
          answer: noContent,
          problems: ['not-found', 'code-used'],
        }),
      },
    );
}

async function issueCode(
  { store, keys, trust, releases, now }: Master,
  userId: string,
  ttlSeconds: number,
  actor: string,
): Promise<IssuedCode> {
  const issuedAt = now();
  const { epoch, publicUrl } = readSettings(store);
  const code = codeFromBytes(crypto.getRandomValues(new Uint8Array(15)));
  const id = Bun.randomUUIDv7();
  const hash = sha256Hex(normaliseCode(code));
  // Whole seconds, as the JWT that backs the code counts.
  const expiresAt = new Date((Math.floor(issuedAt.getTime() / 1000) + ttlSeconds) * 1000);
  const backing = await signCodeBacking({ jti: id, sub: userId, hash, epoch }, expiresAt, keys.tokens, issuedAt);
  granted(addCode(store, { id, userId, hash, backing, expiresAt: expiresAt.toISOString() }, actor, issuedAt));
  const script = releases.read('join.sh');
  const scriptSha256 = script === undefined ? undefined : sha256Hex(script);
  return {
    id,
    code,
    expiresAt: expiresAt.toISOString(),
    join: { sh: joinLine(publicUrl, trust.rootThumbprint, scriptSha256) },
  };
}
