import type { Logger } from 'pino';
import { acmeKeeper, factsOf as certificateFacts } from './acme/keeper.ts';
import { applicationOf } from './app.ts';
import type { ListenAddress } from './decisions/listen.ts';
import type { Subnet } from './decisions/webhook-address.ts';
import { letMachinesGo } from './fleet/machines.ts';
import { watchPresence } from './fleet/presence.ts';
import { loggedPath } from './formats/logged-path.ts';
import { boundConnections } from './http/connections.ts';
import { defaultLimits } from './http/limits.ts';
import { factsOf } from './http/request-facts.ts';
import { recordUsesRegularly } from './http/token-uses.ts';
import { assemble } from './master.ts';
import { serveMetrics } from './metrics/listener.ts';
import { watchGrants } from './policy/run-out.ts';
import { keepBackups } from './state/backup-schedule.ts';
import { masterPaths } from './state/layout.ts';
import { liveCredentials } from './state/live.ts';
import type { LoadedState } from './state/load.ts';
import { superseded } from './store/lives.ts';
import { furnishAuthority, furnishMesh } from './store/network-settings.ts';
import type { Store } from './store/open.ts';
import { committedVersion, readSettings, recordApiPlace } from './store/settings.ts';
import { receiversOf } from './webhooks/receivers.ts';
import { senderOf } from './webhooks/send.ts';
import { deliverWebhooks } from './webhooks/worker.ts';

type ChannelData = { node: string; expiresAt: Date; leave: () => void; expiry: Timer | undefined };

/** Where it listens; which node the machine is, if it is one; and where its figures are, if anywhere. */
export type ServeOptions = {
  listen: ListenAddress;
  node?: string;
  metrics?: ListenAddress;
  /** Subnets that webhooks may be sent to although they are not public. */
  webhookAllow?: readonly Subnet[];
  /** Certificates of authorities that receivers may show besides the usual ones. */
  webhookAuthorities?: readonly string[];
};
export type Serving = { url: string; stop(): Promise<void> };

const convergenceMilliseconds = 2_000;
/** Every route has its own, which is refused in words; what nobody reads stays with whoever sends it. */
const largestBody = Number.MAX_SAFE_INTEGER;
/** How soon a renewal of keys or certificate is noticed. */
const lookAtFilesMilliseconds = 2_000;
const longestTimer = 2 ** 31 - 1;

/** Puts the application behind TLS and WebSockets. The one place that knows sockets. */
export function serve(
  state: LoadedState,
  stateDir: string,
  { listen, node, metrics, webhookAllow = [], webhookAuthorities = [] }: ServeOptions,
  log: Logger,
): Serving {
  const upgraded = new WeakSet<Request>();
  const arrivedAt = new WeakMap<Request, Bun.Server<ChannelData>>();
  const credentials = liveCredentials(stateDir, state);
  const { keys, trust } = credentials.current;
  const master = assemble({
    ...state,
    keys,
    trust,
    certificate: () => certificateFacts(credentials.current.tls.cert),
    webhooks: {
      box: state.box,
      sender: senderOf({
        mayReceive: receiversOf(state.store, webhookAllow),
        authorities: webhookAuthorities,
      }),
    },
    limits: defaultLimits,
    convergenceMilliseconds,
    now: () => new Date(),
    log,
    addressOf: (request) => arrivedAt.get(request)?.requestIP(request)?.address ?? 'unknown',
    openChannel: (request, { node, expiresAt }) => {
      const data: ChannelData = { node, expiresAt, leave: () => {}, expiry: undefined };
      if (!arrivedAt.get(request)?.upgrade(request, { data })) return false;
      upgraded.add(request);
      return true;
    },
  });
  const application = applicationOf(master);
  // These lines hold what stands below and nothing else, so that there is nothing to look for in each of them.
  const requests = log.child({}, { redact: [] });

  const open = (port: number) =>
    Bun.serve<ChannelData>({
      hostname: listen.hostname,
      port,
      reusePort: true,
      tls: credentials.current.tls,
      maxRequestBodySize: largestBody,
      idleTimeout: 30,
      async fetch(request, server) {
        arrivedAt.set(request, server);
        const started = performance.now();
        const response = await application.handle(request);
        const { id, route, caller, problem } = factsOf(request);
        // Otherwise all the rest of the body would still be taken in.
        if (response.status === 413) response.headers.set('connection', 'close');
        requests.info(
          {
            id,
            method: request.method,
            path: loggedPath(new URL(request.url).pathname),
            route,
            caller,
            problem,
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
  refuseTaken(listen);
  let server = open(listen.port);

  // Bun gives a server its certificate once, so another takes its place. What runs on the former goes on until it ends.
  const showCertificate = () => {
    const former = server;
    server = open(former.port ?? listen.port);
    former.stop();
  };
  const followFiles = async () => {
    const renewed = await credentials.refresh();
    if (renewed.tls) showCertificate();
    if (renewed.keys) master.fleet.reconnectAll();
    if (renewed.tls || renewed.keys) log.info(renewed, 'keys or certificate were renewed');
  };
  const acme = acmeKeeper(masterPaths(stateDir), log, () => new Date());
  const following = setInterval(() => {
    followFiles().catch((err) => log.error({ err }, 'renewed keys or certificate are not taken'));
    acme.look().catch((err) => log.error({ err }, 'the settings for a certificate cannot be used'));
  }, lookAtFilesMilliseconds);

  const connections = boundConnections(() => server.port ?? listen.port, log);
  // Only now: who cannot listen has no business with the database.
  const figures = metrics === undefined ? undefined : serveMetrics(metrics, master.metrics);
  if (figures !== undefined) log.info({ metrics: figures.url }, `figures are at ${figures.url}metrics`);
  if (superseded(state.store) === undefined) {
    furnishMesh(state.store, new Date());
    makeAuthority(state).catch((err) => log.error({ err }, 'the authority for the internal domain could not be made'));
  }
  keepApiPlace(state.store, { ...listen, port: server.port ?? listen.port }, node);
  const machines = letMachinesGo(master);
  const backups = keepBackups(stateDir, log);
  const uses = recordUsesRegularly(master);
  const grants = watchGrants(master);
  const presence = watchPresence(master);
  const webhooks = deliverWebhooks(master);

  return {
    url: server.url.href,
    async stop() {
      machines.stop();
      figures?.stop();
      connections.stop();
      backups.stop();
      presence.stop();
      await webhooks.stop();
      clearInterval(following);
      grants.stop();
      master.workshop.close();
      master.fleet.closeAll();
      await Promise.race([server.stop(), Bun.sleep(3_000)]);
      await server.stop(true);
      uses.stop();
      state.store.close();
    },
  };
}

/** An installation from before there was an authority gets one. */
async function makeAuthority({ store, authority }: LoadedState): Promise<void> {
  const { domain, authority: known } = readSettings(store);
  if (known === null) furnishAuthority(store, domain, await authority.make(domain, new Date()), new Date());
}

/** Devices reach the API through the tunnel where it listens on every address: that of the tunnel comes and goes. */
function keepApiPlace(store: Store, { hostname, port }: ListenAddress, node: string | undefined): void {
  if (superseded(store) !== undefined) return;
  const isEverywhere = hostname === '0.0.0.0' || hostname === '::';
  recordApiPlace(store, node !== undefined && isEverywhere ? { node, port } : null, new Date());
}

/** The port is shared for the moment in which one server follows another; with anybody else it must not be. */
function refuseTaken({ hostname, port }: ListenAddress): void {
  if (port !== 0) Bun.serve({ hostname, port, fetch: () => new Response() }).stop(true);
}
