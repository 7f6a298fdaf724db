import type { CachedBundle, ReportedOutage } from '#contract/agent.ts';
import { compareVersions, type Snapshot, type Version } from '#contract/snapshot.ts';
import { desiredVrrp } from '#policies/desired/vrrp.ts';
import type { Standing } from './health/standing.ts';
import { watchHealth } from './health/watch.ts';
import { watchedBy } from './health/watched.ts';
import type { Besides } from './outbox.ts';
import { understand } from './plan/understanding.ts';
import { runKeepalived } from './services/keepalived-run.ts';
import type { Supervisor } from './services/supervise.ts';
import type { AgentConfig, AgentPaths } from './system/config.ts';
import { openHealthPage } from './system/health-page.ts';
import { hasAddress } from './system/link.ts';
import { openOutages } from './system/outages.ts';
import { openResponder } from './system/responder.ts';

/** How this node stands, and who is told: keepalived, the devices and the other nodes that ask, and the master. */
export interface Presence {
  aimFor(snapshot: Snapshot | undefined): void;
  /** What devices can fetch here. */
  offer(bundles: readonly CachedBundle[], trust: { version: number; jws: string } | undefined): void;
  /** After each pass: what is in force, and whether nothing is wrong with it. */
  passed(applied: Version | undefined, isWell: boolean): void;
  standing(): Standing | undefined;
  /** For the report to the master, until it is `delivered`. */
  besides(): Besides;
  delivered(besides: Besides): void;
  stop(): void;
}

export type PresenceOptions = {
  paths: AgentPaths;
  config: AgentConfig;
  supervisor: Supervisor;
  log: (line: string) => void;
  /** A device is there that was not there before. */
  onArrival: () => void;
  onProbe: () => void;
  /** This node stands otherwise than before, or a device told something: the master should know. */
  onChange: () => void;
  onStanding: (standing: Standing) => void;
  /** Other nodes, and networks of theirs, that cannot be reached: after each change of that. */
  onUnfit: (unfit: ReadonlySet<string>) => void;
  /** The kernel does not forward what it should. */
  onForwardingOff: () => void;
  /** What people should know of this node beside why it does not count. */
  remarks: () => readonly string[];
};

export async function openPresence(options: PresenceOptions): Promise<Presence> {
  const { paths, config, supervisor, log, onArrival, onProbe, onChange } = options;
  const outages = await openOutages(paths.outages, log);
  const responder = openResponder({
    log,
    onArrival,
    onAnswer: onProbe,
    onOutages(publicKey, seen) {
      outages.add(seen.map((outage): ReportedOutage => ({ publicKey, ...outage })));
      onChange();
    },
  });
  const keepalived = runKeepalived(supervisor, {
    directory: paths.services,
    tunnel: config.interface,
    mesh: config.meshInterface,
  });
  let page: { stop(): void } | undefined;
  let snapshot: Snapshot | undefined;
  let bundles: readonly CachedBundle[] = [];
  let trust: { version: number; jws: string } | undefined;

  /** Answers at the addresses that this node should have and has. */
  const answer = async () => {
    const node = snapshot?.nodes.find((candidate) => candidate.name === config.node);
    const standing = health.standing();
    if (snapshot === undefined || node === undefined) return responder.close();
    if (standing === undefined) return;
    const { nodes, devices } = snapshot;
    responder.update({
      node: node.name,
      version: snapshot,
      devices,
      bundles,
      trust,
      standing: told(standing),
      nodes: nodes.flatMap(({ name, mesh }) => (name === node.name || mesh === undefined ? [] : [mesh.address])),
    });
    const mesh = node.mesh !== undefined && hasAddress(node.mesh.address) ? node.mesh.address : undefined;
    if (hasAddress(node.tunnelAddress)) await responder.listen(node.tunnelAddress);
    await responder.listenInMesh(mesh);
  };
  let answering = Promise.resolve();
  const answerAgain = () => {
    answering = answering.then(answer).catch((error: Error) => log(`answering probes: ${error.message}`));
  };

  const health = watchHealth({
    node: config.node,
    tunnel: config.interface,
    keepalived,
    daemons: {
      isWanted: supervisor.isWanted,
      isRunning: (name) => supervisor.state(name).pid !== undefined,
    },
    onUnfit: options.onUnfit,
    onForwardingOff: options.onForwardingOff,
    log,
    onChange(standing, isNews) {
      options.onStanding(standing);
      answerAgain();
      if (!isNews) return;
      responder.hintAll();
      onChange();
    },
  });

  return {
    aimFor(next) {
      snapshot = next;
      const meaning = next && understand(next);
      const vrrp = next && desiredVrrp(next, config.node);
      health.aimFor(next && meaning?.ok ? watchedBy(next, meaning.world, config.node) : undefined);
      // Asked by keepalived alone, so it is there only beside it.
      if (vrrp === undefined) page?.stop();
      page = vrrp && (page ?? openHealthPage(() => health.standing()?.healthy !== false, log));
      keepalived.aimFor(vrrp);
      answerAgain();
    },
    offer(nextBundles, nextTrust) {
      bundles = nextBundles;
      trust = nextTrust;
      answerAgain();
    },
    passed(applied, isWell) {
      const isNewest = applied !== undefined && snapshot !== undefined && compareVersions(applied, snapshot) === 0;
      health.passed(applied !== undefined && isWell, isNewest);
      answerAgain();
    },
    standing: health.standing,
    besides() {
      const standing = health.standing();
      const waiting = outages.waiting();
      return {
        ...(standing?.vrrp === undefined ? {} : { vrrp: standing.vrrp }),
        ...(standing?.vip === undefined ? {} : { vip: standing.vip }),
        ...(standing === undefined
          ? {}
          : { health: { healthy: standing.healthy, reasons: cut([...standing.reasons, ...options.remarks()]) } }),
        ...(waiting.length === 0 ? {} : { outages: [...waiting] }),
      };
    },
    delivered: ({ outages: told = [] }) => outages.delivered(told),
    stop() {
      health.stop();
      page?.stop();
      responder.close();
    },
  };
}

/** What goes into an answer: neither why, nor what goes without saying. */
function told({ healthy, priority, draining, unreachable, vrrp, vip, sees }: Standing) {
  return {
    healthy,
    ...(vrrp === undefined ? {} : { vrrp }),
    ...(vip === undefined ? {} : { vip }),
    ...(sees === undefined ? {} : { sees }),
    priority,
    ...(draining ? { draining } : {}),
    ...(unreachable.length === 0 ? {} : { unreachable: [...unreachable] }),
  };
}

const cut = (reasons: readonly string[]) => reasons.slice(0, 20).map((reason) => reason.slice(0, 300));
