import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import * as v from 'valibot';
import { EnrolmentLease, type EnrolmentRequest, EnrolmentResult, TokenAnswer } from '#contract/enrolment.ts';
import type { PublicKey, Thumbprint } from '#contract/key.ts';
import type { Ipv4 } from '#contract/network.ts';
import type { TrustList } from '#contract/trust.ts';
import { ClientFailure, isFailure, messageOf } from './failure.ts';
import { PinnedAgent, wrongCertificate } from './pinned-agent.ts';
import { refusal } from './refusal.ts';
import { verifyTrustList } from './trust.ts';

const answerLimitMs = 15_000;
const maxAnswerBytes = 1024 * 1024;

/** Waits between the tries of one call. Every call may be repeated: the master gives the same answer again. */
const retryDelaysMs = [0, 200, 500, 1_000] as const;
/** After this long no further try is started: somebody waits at the screen. */
const patienceMs = 8_000;

type Call = { method: 'GET' | 'POST' | 'PUT' | 'DELETE'; path: string; body?: unknown; token?: string };
type Reply = { status: number; headers: IncomingHttpHeaders; body: string; spki: Thumbprint | undefined };

/** A master whose root and certificate were found to be the pinned ones. */
export interface Master {
  readonly trust: TrustList;
  readonly trustJws: string;
  /** The signed list of what this master hands out, or undefined when it has released nothing. */
  manifest(): Promise<string | undefined>;
  enrol(request: EnrolmentRequest): Promise<EnrolmentLease>;
  confirm(lease: EnrolmentLease, publicKey: PublicKey): Promise<EnrolmentResult>;
  deviceToken(assertion: string): Promise<string>;
  removeDevice(token: string): Promise<void>;
  close(): void;
}

/**
 * Reads the trust list, holds it against the pinned root, and this very connection's certificate against the list.
 * Nothing else is sent before that.
 *
 * @throws ClientFailure untrusted, unreachable
 */
export async function openMaster(url: URL, root: Thumbprint): Promise<Master> {
  let trust: TrustList | undefined;
  const agent = new PinnedAgent(url, (spki) => trust === undefined || trust.tls.includes(spki));
  try {
    const reply = await persist(() => send(url, agent, { method: 'GET', path: '/v1/trust' }));
    if (reply.status !== 200) throw refusal(reply.status, reply.body);
    const trustJws = reply.body.trim();
    const list = await verifyTrustList(trustJws, root);
    if (reply.spki === undefined || !list.tls.includes(reply.spki)) throw wrongCertificate(url);
    trust = list;
    return { ...callsOf(url, agent), trust: list, trustJws };
  } catch (error) {
    agent.destroy();
    throw error;
  }
}

function callsOf(url: URL, agent: PinnedAgent): Omit<Master, 'trust' | 'trustJws'> {
  const ask = async <T>(call: Call, schema: v.GenericSchema<unknown, T>): Promise<T> => {
    const reply = await persist(async () => {
      const answer = await send(url, agent, call);
      if (answer.status < 200 || answer.status > 299) throw refusal(answer.status, answer.body);
      return answer;
    });
    try {
      return v.parse(schema, JSON.parse(reply.body));
    } catch (cause) {
      throw notPostern(url, `${call.method} ${call.path} was answered with something else than expected`, cause);
    }
  };
  return {
    manifest: () =>
      persist(async () => {
        const { status, body } = await send(url, agent, { method: 'GET', path: '/client/manifest' });
        if (status === 404) return undefined;
        if (status !== 200) throw refusal(status, body);
        return body.trim();
      }),
    enrol: (body) => ask({ method: 'POST', path: '/v1/enrolments', body }, EnrolmentLease),
    confirm: ({ id, token, address }, publicKey) => {
      const body: { publicKey: PublicKey; address: Ipv4 } = { publicKey, address };
      return ask({ method: 'PUT', path: `/v1/enrolments/${encodeURIComponent(id)}`, body, token }, EnrolmentResult);
    },
    deviceToken: async (assertion) => {
      const body = { assertion };
      return (await ask({ method: 'POST', path: '/v1/device/tokens', body }, TokenAnswer)).token;
    },
    removeDevice: async (token) => {
      await persist(async () => {
        const answer = await send(url, agent, { method: 'DELETE', path: '/v1/device', token });
        if (answer.status < 200 || answer.status > 299) throw refusal(answer.status, answer.body);
      });
    },
    close: () => agent.destroy(),
  };
}

/** Tries again when the answer was lost or the master said "not now"; a lost reply costs nothing, since all is repeatable. */
async function persist<T>(attempt: () => Promise<T>): Promise<T> {
  const start = performance.now();
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const delayMs = retryDelaysMs[tries];
      if (delayMs === undefined || performance.now() - start > patienceMs || !isFailure(error, 'unreachable'))
        throw error;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

function send(url: URL, agent: PinnedAgent, { method, path, body, token }: Call): Promise<Reply> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing: ClientRequest = request({
      agent,
      host: url.hostname,
      port: url.port || 443,
      method,
      path: `${url.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        host: url.host,
        accept: 'application/json, application/problem+json, application/jose',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    });
    const fail = (error: Error) => {
      clearTimeout(timer);
      outgoing.destroy();
      reject(error instanceof ClientFailure ? error : unreachable(url, messageOf(error), error));
    };
    const timer = setTimeout(() => fail(new Error(`no answer within ${answerLimitMs / 1000} s`)), answerLimitMs);
    outgoing.on('error', fail);
    outgoing.on('response', (response) => {
      // Now: with the end of the answer the connection goes back to the agent.
      const spki = agent.spkiOf(response.socket);
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > maxAnswerBytes) fail(new Error('the answer is too long'));
        else parts.push(part);
      });
      response.on('aborted', () => fail(new Error('the answer was cut off')));
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(timer);
        const text = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, spki });
      });
    });
    outgoing.end(text);
  });
}

function unreachable(url: URL, why: string, cause: unknown): ClientFailure {
  return new ClientFailure(
    'unreachable',
    'master-unreachable',
    `The master at ${url.origin} cannot be reached: ${why}`,
    "Check this machine's internet connection and the address in the join line, then run it again. Nothing is lost.",
    cause,
  );
}

function notPostern(url: URL, message: string, cause: unknown): ClientFailure {
  return new ClientFailure(
    'failed',
    'answer-unreadable',
    `${url.origin}: ${message}`,
    'The master and this client may be of different versions: run the join line anew to get the client that fits.',
    cause,
  );
}
