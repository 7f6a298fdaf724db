import { expectMatch } from '../http/etags.ts';
import { Refusal } from '../http/refusal.ts';
import type { Store } from '../store/open.ts';
import { policyInForce } from '../store/policies.ts';

/** The policy's ETag names its revision, so that a person can tell which one they saw. */
export function policyEtag(revision: number): string {
  return `"policy-${revision}"`;
}

/**
 * Refuses a change of a policy that is not the one the caller saw. Where `required`, the caller must have seen one: whoever
 * replaces a whole document without looking takes back what others did.
 */
export function expectPolicy(request: Request, store: Store, required: 'required' | 'optional' = 'optional'): void {
  const etag = policyEtag(policyInForce(store).revision);
  if (required === 'required' && request.headers.get('if-match') === null)
    throw new Refusal('precondition-required', `Send If-Match with the ETag of the policy you saw; now it is ${etag}.`);
  try {
    expectMatch(request, etag);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const detail = `The policy in force is ${etag} by now. Read it, and make your change to that one.`;
    throw new Refusal('precondition-failed', detail, undefined, { etag });
  }
}
