import type { Permission, User, UserChange } from '#contract/admin.ts';
import type { ApiToken, NewToken, TokenArea, TokenPermission } from '#contract/token.ts';
import { longestTokenDays, usualTokenDays } from '#contract/token.ts';
import type { Result } from './result.ts';

/** `own` is what only owners do: which nodes there are and where, and who may do what on the API. */
export type Act = 'read' | 'operate' | 'own';

const acts: Record<Permission, readonly Act[]> = {
  owner: ['read', 'operate', 'own'],
  operator: ['read', 'operate'],
  auditor: ['read'],
  none: [],
};

/** What a request may do: the permission of its user held down to its token's, in the token's areas (null for all). */
export type Grant = { permission: Permission; areas: readonly TokenArea[] | null };

export function grantOf(user: User, token: Pick<ApiToken, 'permission' | 'areas'>): Grant {
  const permission = holds(user.permission, token.permission) ? token.permission : user.permission;
  return { permission, areas: token.areas };
}

export function may(permission: Permission, act: Act): boolean {
  return acts[permission].includes(act);
}

export function covers({ areas }: Grant, area: TokenArea): boolean {
  return areas === null || areas.includes(area);
}

/** Whether whoever has `permission` has `wanted` too. */
export function holds(permission: Permission, wanted: Permission): boolean {
  return acts[wanted].every((act) => may(permission, act));
}

/** Making a user who has any permission on the API is giving that permission. */
export function actOfAdding(permission: Permission | undefined): Act {
  return permission === undefined || permission === 'none' ? 'operate' : 'own';
}

/** Who has a permission is changed, disabled or removed by owners alone: an operator cannot turn on an owner. */
export function actOfChanging(user: User, change?: UserChange): Act {
  return user.permission !== 'none' || (change?.permission ?? 'none') !== 'none' ? 'own' : 'operate';
}

/**
 * Whether `maker` may make this token for `holder`, and when it ends. A token is never worth more than the one it was
 * made with, nor more than its user.
 */
export function newTokenOf(
  wanted: NewToken,
  maker: Grant & { userId: string },
  holder: User,
  now: Date,
): Result<{ permission: TokenPermission; areas: TokenArea[] | null; expiresAt: string }> {
  const areas = wanted.areas ?? null;
  if (holder.id !== maker.userId && !may(maker.permission, 'own'))
    return denied('Only owners make tokens for others; leave userId out.');
  if (!holds(maker.permission, wanted.permission))
    return denied(`You cannot give "${wanted.permission}"; what you have here is "${maker.permission}".`);
  if (!holds(holder.permission, wanted.permission))
    return denied(`The user has the permission "${holder.permission}"; a token cannot have more.`);
  if (maker.areas !== null && (areas === null || !areas.every((area) => covers(maker, area))))
    return denied(`The token you ask with is good for ${maker.areas.join(', ')} alone; name areas of these.`);
  const expiresAt = endOf(wanted, now);
  return expiresAt.ok
    ? { ok: true, value: { permission: wanted.permission, areas, expiresAt: expiresAt.value } }
    : expiresAt;
}

function endOf({ expiresIn, expiresAt }: NewToken, now: Date): Result<string> {
  if (expiresIn !== undefined && expiresAt !== undefined)
    return invalid('expiresAt', 'cannot be used together with expiresIn');
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000).toISOString();
  const end = expiresAt ?? after(expiresIn ?? usualTokenDays * 86_400);
  if (end <= now.toISOString()) return invalid('expiresAt', 'is over already');
  if (end > after(longestTokenDays * 86_400))
    return invalid('expiresAt', `is more than ${longestTokenDays} days ahead`);
  return { ok: true, value: end };
}

/** Owners see the tokens of all, others their own. */
export function maySee(viewer: Grant & { userId: string }, token: Pick<ApiToken, 'userId'>): boolean {
  return token.userId === viewer.userId || may(viewer.permission, 'own');
}

/** A token always ends itself; another one of its user only if it is worth no more: a weak one that leaked harms little. */
export function mayRevoke(revoker: Grant & { userId: string; tokenId: string }, token: ApiToken): boolean {
  return token.id === revoker.tokenId || holds(revoker.permission, token.permission);
}

function denied(detail: string): Result<never> {
  return { ok: false, reason: 'permission-denied', detail };
}

function invalid(path: string, message: string): Result<never> {
  return { ok: false, reason: 'invalid-input', errors: [{ path, message }] };
}
