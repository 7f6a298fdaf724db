import type { ListenAddress } from '../decisions/listen.ts';
import type { Metrics } from './registry.ts';

/**
 * Serves figures on an address of this machine alone, without TLS and without a token: whoever is on the machine may
 * read them. A page in a browser there may not, under whatever name it reaches this address.
 */
export function serveMetrics({ hostname, port }: ListenAddress, metrics: Metrics): { url: string; stop(): void } {
  const server = Bun.serve({
    hostname,
    port,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (!isLocalName(request.headers.get('host') ?? '')) return new Response('Ask by address.\n', { status: 421 });
      if (pathname !== '/metrics') return new Response('Only /metrics is here.\n', { status: 404 });
      if (request.method !== 'GET') return new Response('Use GET.\n', { status: 405, headers: { allow: 'GET' } });
      const { text, type } = await metrics.expose();
      return new Response(text, { headers: { 'content-type': type } });
    },
  });
  return { url: server.url.href, stop: () => void server.stop(true) };
}

function isLocalName(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(host);
}
