import type { PolicyResource } from '#contract/policy-admin.ts';
import type { TestMaster } from './master.ts';

/** The policy of a test's master, as its owner reads and changes it. */
export function policyOf(postern: TestMaster) {
  const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await postern.fetch(path, {
      method,
      headers: {
        authorization: `Bearer ${postern.ownerToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  };
  const read = (): Promise<PolicyResource> => postern.ask(200, 'GET', '/v1/policy', postern.ownerToken);
  return {
    send,
    read,
    /** Puts a document in force whatever was there before, or says why that is refused. */
    put: (document: string | readonly string[], ifMatch = '*', query = '') =>
      send(
        'PUT',
        `/v1/policy${query}`,
        { document: typeof document === 'string' ? document : [...document, ''].join('\n') },
        { 'if-match': ifMatch },
      ),
  };
}
