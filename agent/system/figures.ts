import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Snapshot } from '#contract/snapshot.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { version } from '../../package.json';
import { isHolder } from '../health/neighbours.ts';
import type { Standing } from '../health/standing.ts';
import type { PassReport } from '../reconcile.ts';

/** What this node tells Prometheus. No label names a device or a person. */
export type Figures = ReturnType<typeof newFigures>;

/** WireGuard forgets a session after this long without a new handshake (REJECT_AFTER_TIME). */
const sessionSeconds = 180;

export function newFigures(now: () => Date) {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name: `postern_agent_${name}`, help, registers });
  const counter = (name: string, help: string) => new Counter({ name: `postern_agent_${name}`, help, registers });

  new Gauge({
    name: 'postern_agent_build_info',
    help: 'The version of Postern and of Bun that run; always 1.',
    labelNames: ['version', 'bun'],
    registers,
  }).set({ version, bun: Bun.version }, 1);
  const closed = gauge('closed', 'Whether the node lets nobody through: 1 or 0.');
  closed.set(1);
  const epoch = gauge('applied_epoch', 'The epoch in force; 0 while closed.');
  const revision = gauge('applied_revision', 'The revision in force; 0 while closed.');
  const failing = gauge('problem', 'Whether the last pass ended with a problem: 1 or 0.');
  const healthy = gauge('healthy', 'Whether this node counts for devices: 1 or 0.');
  const active = gauge('active', 'Whether this node holds the address that moves between nodes: 1 or 0.');
  const moves = counter('active_changes_total', 'How often this node took or gave away the address that moves.');
  const reachable = gauge('master_reachable', 'Whether the channel to the master is open: 1 or 0.');
  const issued = gauge(
    'snapshot_issued_timestamp_seconds',
    'When the newest snapshot was issued, as Unix time; 0 for none.',
  );
  const repaired = counter('drift_repaired_total', 'Steps that put back what others had changed.');
  const probes = counter('probes_total', 'Probes of devices that were answered.');
  const received = counter('received_bytes_total', 'Bytes received from devices through the tunnel.');
  const sent = counter('sent_bytes_total', 'Bytes sent to devices through the tunnel.');
  const passes = new Histogram({
    name: 'postern_agent_pass_duration_seconds',
    help: 'How long passes of the loop took: looking, and repairing where that was needed.',
    labelNames: ['result'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  let peers: ReadonlyMap<string, ObservedPeer> = new Map();
  new Gauge({
    name: 'postern_agent_peers',
    help: 'Peers of the tunnel.',
    registers,
    collect() {
      this.set(peers.size);
      const since = now().getTime() / 1000 - sessionSeconds;
      online.set([...peers.values()].filter(({ latestHandshake }) => latestHandshake >= since).length);
    },
  });
  const online = gauge('peers_online', 'Peers with a handshake in the last three minutes.');
  addProcess(registry);

  let lastPass: PassReport | undefined;
  let wasActive = false;
  let isUnhealthy = false;

  /** Counters of a peer begin anew with its interface, and end with the peer. */
  const countTraffic = (next: readonly ObservedPeer[]) => {
    for (const peer of next) {
      const before = peers.get(peer.publicKey);
      const isNew =
        before === undefined || peer.receivedBytes < before.receivedBytes || peer.sentBytes < before.sentBytes;
      received.inc(peer.receivedBytes - (isNew ? 0 : before.receivedBytes));
      sent.inc(peer.sentBytes - (isNew ? 0 : before.sentBytes));
    }
    peers = new Map(next.map((peer) => [peer.publicKey, peer]));
  };

  return {
    registry,
    passed(pass: PassReport): void {
      lastPass = pass;
      closed.set(pass.applied === undefined ? 1 : 0);
      epoch.set(pass.applied?.epoch ?? 0);
      revision.set(pass.applied?.revision ?? 0);
      failing.set(pass.problem === undefined ? 0 : 1);
      repaired.inc(pass.drift.length);
      if (pass.wireguard !== undefined) countTraffic(pass.wireguard.peers);
    },
    looped: (seconds: number, isDone: boolean): void => passes.observe({ result: isDone ? 'done' : 'failed' }, seconds),
    probed: (): void => probes.inc(),
    masterIs: (isReachable: boolean): void => reachable.set(isReachable ? 1 : 0),
    holds: (snapshot: Snapshot | undefined): void =>
      issued.set(snapshot === undefined ? 0 : Date.parse(snapshot.issuedAt) / 1000),
    stands(standing: Pick<Standing, 'healthy' | 'vrrp' | 'vip'>): void {
      isUnhealthy = !standing.healthy;
      healthy.set(standing.healthy ? 1 : 0);
      const isActive = isHolder(standing);
      active.set(isActive ? 1 : 0);
      if (isActive !== wasActive) moves.inc();
      wasActive = isActive;
    },
    /** Why the node is not well, by codes; empty when it is. */
    unwell(): ('closed' | 'problem' | 'unhealthy')[] {
      if (lastPass?.applied === undefined) return ['closed'];
      if (lastPass.problem !== undefined) return ['problem'];
      return isUnhealthy ? ['unhealthy'] : [];
    },
  };
}

/** The usual families of a process, those that matter here. What prom-client brings keeps a timer running for the rest. */
function addProcess(registry: Registry): void {
  const registers = [registry];
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()));
}

/**
 * Serves figures and health on an address of this machine alone. A page in a browser there may not read them, under
 * whatever name it reaches this address.
 */
export function serveFigures(
  { hostname, port }: { hostname: string; port: number },
  figures: Figures,
): { url: string; stop(): void } {
  const server = Bun.serve({
    hostname,
    port,
    async fetch(request) {
      const host = request.headers.get('host') ?? '';
      if (!/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i.test(host))
        return new Response('Ask by address.\n', { status: 421 });
      if (request.method !== 'GET') return new Response('Use GET.\n', { status: 405, headers: { allow: 'GET' } });
      switch (new URL(request.url).pathname) {
        case '/metrics': {
          const text = await figures.registry.metrics();
          return new Response(text, { headers: { 'content-type': figures.registry.contentType } });
        }
        case '/healthz': {
          const reasons = figures.unwell();
          if (reasons.length === 0) return Response.json({ status: 'ok' });
          return Response.json({ status: 'unwell', reasons }, { status: 503 });
        }
        default:
          return new Response('Only /metrics and /healthz are here.\n', { status: 404 });
      }
    },
  });
  return { url: server.url.href, stop: () => void server.stop(true) };
}
