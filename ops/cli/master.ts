import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import * as v from 'valibot';
import { Problem } from '#contract/problem.ts';
import { signedTypes, TrustList } from '#contract/trust.ts';
import { type Answer, ask, type Receive, Unreachable, Untrusted } from './connection.ts';

/** The master answered with a problem document. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: string;
  readonly problem: Problem;
  /** The places of a document that the problem speaks of, for people. */
  readonly places: string | undefined;

  constructor(problem: Problem, places?: string) {
    super(problem.title);
    this.code = problem.code;
    this.problem = problem;
    this.places = places;
  }
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Calls to one master. */
export interface Master {
  /** The list of keys that its root signed. */
  readonly trust: TrustList;
  /** @throws Refused, Unreachable, Untrusted; SyntaxError when the answer is not what the schema says. */
  call<T>(
    schema: v.GenericSchema<unknown, T>,
    method: Method,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<T>;
  /** Hands on what a path answers as it comes. @throws Refused, Unreachable, Untrusted; what `receive` throws */
  download(path: string, receive: Receive): Promise<void>;
}

const RootHeader = v.object({
  typ: v.literal(signedTypes.trust),
  jwk: v.object({ kty: v.literal('OKP'), crv: v.literal('Ed25519'), x: v.string() }),
});

/**
 * The master at `url`, once its list of keys is found to be signed by the pinned root and to name the certificate that
 * this very connection shows. The token, if any, is sent only on connections with such a certificate.
 *
 * @throws Untrusted, Unreachable
 */
export async function openMaster(url: URL, root: string, token?: string): Promise<Master> {
  const first = await ask(url, { method: 'GET', path: '/v1/trust' }, () => true);
  if (first.status !== 200)
    throw new Unreachable(`${url.origin} answers ${first.status}: is the master running there?`);
  const trust = await verifyTrust(first.body.trim(), root, url);
  if (!trust.tls.includes(first.spki)) {
    throw new Untrusted(`${url.origin} shows a certificate that its root key does not name; nothing was sent to it`);
  }
  const accept = (spki: string) => trust.tls.includes(spki);
  const credential = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    trust,
    async call(schema, method, path, body, more = {}) {
      const headers = { ...credential, ...more, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
      const sent = { method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
      const answer = wanted(await ask(url, sent, accept), url);
      return v.parse(schema, answer.body === '' ? undefined : parseJson(answer.body, url));
    },
    async download(path, receive) {
      wanted(await ask(url, { method: 'GET', path, headers: credential }, accept, receive), url);
    },
  };
}

/** @throws Refused, Unreachable when the answer is none that was asked for. */
function wanted(answer: Answer, url: URL): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const problem = v.safeParse(Problem, answer.body === '' ? undefined : parseJson(answer.body, url));
  if (problem.success) throw new Refused(problem.output);
  throw new Unreachable(`${url.origin} answers ${answer.status} without saying why`);
}

async function verifyTrust(jws: string, root: string, url: URL): Promise<TrustList> {
  try {
    const { jwk } = v.parse(RootHeader, decodeProtectedHeader(jws));
    if ((await calculateJwkThumbprint(jwk)) !== root) throw new Error('it is signed by another root key');
    const { payload } = await compactVerify(jws, await importJWK(jwk, 'EdDSA'), { algorithms: ['EdDSA'] });
    return v.parse(TrustList, JSON.parse(new TextDecoder().decode(payload)));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Untrusted(`The list of keys at ${url.origin} is not the pinned master's: ${why}`, { cause });
  }
}

function parseJson(text: string, url: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Unreachable(`${url.origin} answers something else than JSON: is another program on that port?`, {
      cause,
    });
  }
}
