import * as v from 'valibot';
import { DisplayName, Email, Id, Moment, Timestamp } from './name.ts';

/** API tokens: what people's scripts and other automation show to the master. */

/** What a token allows at most; less where its user has less. */
export const TokenPermission = v.picklist(['owner', 'operator', 'auditor']);
export type TokenPermission = v.InferOutput<typeof TokenPermission>;

/** The parts of the API that a token can be held to: the tags of the routes for users, in lower case. */
export const TokenArea = v.picklist([
  'users',
  'codes',
  'devices',
  'networks',
  'services',
  'ports',
  'grants',
  'policy',
  'nodes',
  'tokens',
  'audit',
  'master',
  'status',
  'webhooks',
]);
export type TokenArea = v.InferOutput<typeof TokenArea>;

export const usualTokenDays = 90;
export const longestTokenDays = 366;

const areas = v.pipe(
  v.array(TokenArea),
  v.minLength(1, 'must name at least one area; leave it out for all of them'),
  v.check((list) => new Set(list).size === list.length, 'must name each area once'),
);

/**
 * `permission` and `areas` are at most those of the token that asks. Without `areas` it is good for all. It ends after
 * `expiresIn` seconds (1 minute to 366 days) or at `expiresAt`; after 90 days when both are absent. `userId` is whose
 * token it becomes: the asker's own when absent, another's only for owners.
 */
export const NewToken = v.pipe(
  v.strictObject({
    name: DisplayName,
    permission: TokenPermission,
    areas: v.optional(areas),
    expiresIn: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(60), v.maxValue(longestTokenDays * 86_400))),
    expiresAt: v.optional(Moment),
    userId: v.optional(Id),
  }),
  v.examples([
    { name: 'onboarding', permission: 'operator', areas: ['users', 'codes'], expiresIn: usualTokenDays * 86_400 },
  ]),
);
export type NewToken = v.InferOutput<typeof NewToken>;

/**
 * A token without its secret. `areas` is null for one that is good for all, `expiresAt` for the first owner's, which
 * has no end. `lastUsedAt` is right to a minute.
 */
export const ApiToken = v.object({
  id: Id,
  name: DisplayName,
  userId: Id,
  email: Email,
  permission: TokenPermission,
  areas: v.nullable(v.array(TokenArea)),
  createdAt: Timestamp,
  expiresAt: v.nullable(Timestamp),
  lastUsedAt: v.nullable(Timestamp),
});
export type ApiToken = v.InferOutput<typeof ApiToken>;

/** The one time a token is shown. */
export const IssuedToken = v.object({
  ...ApiToken.entries,
  token: v.pipe(v.string(), v.examples(['pst_8Zb1XoQ0m3uV7yKc2dFhJ5nRtW9sLgPqAeEiUoYxTzM'])),
});
export type IssuedToken = v.InferOutput<typeof IssuedToken>;
