import { Elysia } from 'elysia';
import { bodyLimit, readJson } from '../http/read-json.ts';
import type { Master } from '../master.ts';

/**
 * The areas of the API by who may enter: each gives its routes the caller as they need it. Whether the caller may enter
 * was checked before, by what the route declares.
 */

/** Users with a permission. An act of theirs is the act of the token they used. */
export function adminArea({ callers }: Master) {
  return new Elysia().derive({ as: 'scoped' }, ({ request }) => {
    const { user, token, grant } = callers.callerOfKind(request, 'user');
    return {
      admin: user,
      actor: `user ${user.email} token ${token.id}`,
      grant: { ...grant, userId: user.id, tokenId: token.id },
    };
  });
}

export function agentArea({ callers }: Master) {
  return new Elysia().derive({ as: 'scoped' }, ({ request }) => {
    const { node, expiresAt } = callers.callerOfKind(request, 'agent');
    return { node, tokenExpiresAt: expiresAt };
  });
}

export function deviceArea({ callers }: Master) {
  return new Elysia().derive({ as: 'scoped' }, ({ request }) => {
    const { device } = callers.callerOfKind(request, 'device');
    return { device };
  });
}

export function enrolmentArea({ callers }: Master) {
  return new Elysia().derive({ as: 'scoped' }, ({ request }) => {
    const { enrolment } = callers.callerOfKind(request, 'enrolment');
    return { enrolment };
  });
}

/** The JSON body of a caller whose token is known to be good. */
export function readCallersJson({ callers }: Master, limit = bodyLimit) {
  return readJson(limit, (request) => void callers.callerOf(request));
}
