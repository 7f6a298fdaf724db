import { createServer, type IncomingMessage, type Server } from 'node:http';
import * as v from 'valibot';
import type { Ipv4 } from '#contract/network.ts';
import { SeenOutages } from '#contract/outage.ts';
import { agentPort } from '#contract/probe.ts';
import { problem } from '#contract/problem.ts';

/** What a device may do over HTTP inside the tunnel. Who asks is known by the source address. */
export type TunnelRoutes = {
  /** A device is taken no more often than this allows. */
  mayAsk: (asker: Ipv4) => boolean;
  /** Undefined: there is none for this asker. */
  text: (path: '/v1/bundle' | '/v1/trust', asker: Ipv4) => string | undefined;
  /** False for an asker that is no device. */
  takeOutages: (asker: Ipv4, outages: SeenOutages['outages']) => boolean;
};

type Refusal =
  | 'not-found'
  | 'method-not-allowed'
  | 'too-many-requests'
  | 'body-too-large'
  | 'media-type'
  | 'invalid-input';
type Answer = { refusal: Refusal } | { status: number; type?: string; body?: string };

const longestBody = 32_768;

export function listenTcp(address: Ipv4, routes: TunnelRoutes): Promise<Server> {
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 1_000 },
    async (request, response) => {
      const answer = await answerTo(request, routes).catch((): Answer => ({ refusal: 'invalid-input' }));
      const { status, type, body } =
        'refusal' in answer
          ? {
              status: problem(answer.refusal).status,
              type: 'application/problem+json',
              body: JSON.stringify(problem(answer.refusal)),
            }
          : answer;
      response
        .writeHead(status, {
          ...(type === undefined ? {} : { 'content-type': type }),
          'cache-control': 'no-store',
          connection: 'close',
        })
        .end(body);
    },
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: agentPort, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

async function answerTo(request: IncomingMessage, routes: TunnelRoutes): Promise<Answer> {
  const { url, method, socket, headers } = request;
  const asker = socket.remoteAddress ?? '';
  switch (url) {
    case '/v1/bundle':
    case '/v1/trust': {
      if (method !== 'GET') return { refusal: 'method-not-allowed' };
      if (!routes.mayAsk(asker)) return { refusal: 'too-many-requests' };
      const body = routes.text(url, asker);
      return body === undefined ? { refusal: 'not-found' } : { status: 200, type: 'application/jose', body };
    }
    case '/v1/outages': {
      if (method !== 'POST') return { refusal: 'method-not-allowed' };
      if (!routes.mayAsk(asker)) return { refusal: 'too-many-requests' };
      if (headers['content-type']?.split(';')[0]?.trim() !== 'application/json') return { refusal: 'media-type' };
      const body = await readBody(request);
      if (body === undefined) return { refusal: 'body-too-large' };
      const told = v.safeParse(SeenOutages, JSON.parse(body));
      if (!told.success) return { refusal: 'invalid-input' };
      return routes.takeOutages(asker, told.output.outages) ? { status: 204 } : { refusal: 'not-found' };
    }
    default:
      return { refusal: 'not-found' };
  }
}

/** Undefined when there is more of it than anybody has to say. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > longestBody) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
