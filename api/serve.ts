import type { Logger } from 'pino';
import { applicationOf } from './app.ts';
import type { ListenAddress } from './decisions/listen.ts';
import { letMachinesGo } from './fleet/machines.ts';
import { defaultLimits } from './http/limits.ts';
import { assemble } from './master.ts';
import type { LoadedState } from './state/load.ts';
import { committedVersion } from './store/settings.ts';

type ChannelData = { node: string; expiresAt: Date; leave: () => void; expiry: Timer | undefined };

export type Serving = { url: string; stop(): Promise<void> };

const convergenceMilliseconds = 2_000;
/** Above every limit of a route, so that ours answers in words; beyond it Bun ends the request itself. */
const largestBody = 8 * 1024 * 1024;
const longestTimer = 2 ** 31 - 1;

/** Puts the application behind TLS and WebSockets. The one place that knows sockets. */
export function serve(state: LoadedState, listen: ListenAddress, log: Logger): Serving {
  const upgraded = new WeakSet<Request>();
  const master = assemble({
    ...state,
    limits: defaultLimits,
    convergenceMilliseconds,
    now: () => new Date(),
    log,
    addressOf: (request) => server.requestIP(request)?.address ?? 'unknown',
    openChannel: (request, { node, expiresAt }) => {
      const data: ChannelData = { node, expiresAt, leave: () => {}, expiry: undefined };
      if (!server.upgrade(request, { data })) return false;
      upgraded.add(request);
      return true;
    },
  });
  const application = applicationOf(master);

  const server = Bun.serve<ChannelData>({
    hostname: listen.hostname,
    port: listen.port,
    tls: state.tls,
    maxRequestBodySize: largestBody,
    idleTimeout: 30,
    async fetch(request) {
      const started = performance.now();
      const response = await application.handle(request);
      const id = Bun.randomUUIDv7();
      response.headers.set('x-request-id', id);
      log.info(
        {
          id,
          method: request.method,
          // A path nobody serves may hold anything, a code in the wrong place included.
          path: response.status === 404 ? undefined : new URL(request.url).pathname,
          status: upgraded.has(request) ? 101 : response.status,
          milliseconds: Math.round(performance.now() - started),
        },
        'request',
      );
      return upgraded.has(request) ? undefined : response;
    },
    websocket: {
      maxPayloadLength: 1024,
      idleTimeout: 60,
      sendPings: true,
      open(socket) {
        const { data } = socket;
        data.leave = master.fleet.join(data.node, socket);
        data.expiry = setTimeout(
          () => socket.close(4001, 'the token has expired'),
          Math.min(longestTimer, Math.max(0, data.expiresAt.getTime() - Date.now())),
        );
        socket.send(JSON.stringify(committedVersion(state.store)));
      },
      message() {
        // Agents have nothing to say here; they report over HTTP.
      },
      close({ data }) {
        clearTimeout(data.expiry);
        data.leave();
      },
    },
    error(error) {
      log.error({ err: error }, 'a request failed outside the application');
      return new Response(null, { status: 500 });
    },
  });

  // Only now: who cannot listen has no business with the database.
  const machines = letMachinesGo(master);

  return {
    url: server.url.href,
    async stop() {
      machines.stop();
      master.fleet.closeAll();
      await Promise.race([server.stop(), Bun.sleep(3_000)]);
      await server.stop(true);
      state.store.close();
    },
  };
}
