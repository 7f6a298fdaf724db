import { Elysia } from 'elysia';
import { bodyLimit, readJson } from '../http/read-json.ts';
import type { Master } from '../master.ts';

/**
 * The areas of the API by who may enter. Every route that is not public stands in one; entering is checked before
 * anything of the request is validated.
 */

/** Users with a permission: reading takes auditor, everything else operator, and `own` in a route owner. */
export function adminArea({ callers }: Master) {
  return new Elysia().derive({ as: 'scoped' }, ({ request }) => {
    const user = callers.userWhoMay(request, request.method === 'GET' ? 'read' : 'operate');
    return { admin: user, actor: `user ${user.email}` };
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
