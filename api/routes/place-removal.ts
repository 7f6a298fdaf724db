import * as v from 'valibot';
import type { Convergence } from '#contract/admin.ts';
import type { Master } from '../master.ts';
import { putInForce } from '../store/policy-changes.ts';
import { converge } from './convergence.ts';
import { expectPolicy } from './policy-etag.ts';

/** What becomes of the lines that name what is removed. */
export const Uses = v.strictObject({
  uses: v.optional(
    v.pipe(
      v.picklist(['refuse', 'remove']),
      v.description('With `remove`, grants and tests that name it go along; else they are the reason for a refusal.'),
    ),
  ),
});

/** Takes a network or a service out of the policy, and waits for the nodes. */
export async function removePlace(
  master: Master,
  asked: { what: 'network' | 'service'; name: string; uses: 'refuse' | 'remove'; actor: string; request: Request },
): Promise<Convergence> {
  const { store, desk, now } = master;
  const { what, name, uses, actor, request } = asked;
  const { snapshot } = await desk.exclusively(async () => {
    expectPolicy(request, store);
    const { prepared } = await desk.prepareEdit({ kind: 'remove', what, name, uses });
    return putInForce(store, prepared, { actor, act: `${what}.remove`, subject: name, note: null }, now());
  });
  return converge(master, snapshot);
}
