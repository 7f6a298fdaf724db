import type { AgentReport, CachedBundle } from '#contract/agent.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { parseLoopback } from './formats/loopback.ts';
import { publicKeyOf } from './formats/wireguard-key.ts';
import { createOutbox } from './outbox.ts';
import type { NodeSelf } from './plan/node.ts';
import { type Surroundings, troubleAround } from './plan/surroundings.ts';
import { openPresence } from './presence.ts';
import { createReconciler, type PassReport } from './reconcile.ts';
import { keepCertificate } from './services/certificate.ts';
import { openInside } from './services/inside.ts';
import { openSupervisor } from './services/supervise.ts';
import { beAlone } from './system/alone.ts';
import { openCache } from './system/cache.ts';
import { openCaller } from './system/calls.ts';
import { runCommand } from './system/command.ts';
import {
  type AgentConfig,
  type AgentPaths,
  ensureMeshKey,
  readAgentKey,
  readConfig,
  readWireguardKey,
} from './system/config.ts';
import { watchEvents } from './system/events.ts';
import { newFigures, serveFigures } from './system/figures.ts';
import { followMaster } from './system/follow.ts';
import { watchLoad } from './system/load.ts';
import { connectMaster } from './system/master.ts';
import { openNodeSystem } from './system/node.ts';
import { observeSurroundings } from './system/surroundings.ts';
import { openWireGuard } from './system/wireguard.ts';

const driftEveryMs = 10_000;
/** Who else filters packets here is decided by people, and changes seldom. */
const lookAroundEveryMs = 60_000;
/** Devices that arrive within this time are looked at, and reported, together. */
const arrivalPauseMs = 500;

/** The parts that read and change this machine; `run`, `plan` and `teardown` share them. */
export function openSystem(paths: AgentPaths, config: AgentConfig) {
  const wireguard = openWireGuard({
    run: runCommand,
    name: config.interface,
    keyFile: paths.wireguardKey,
    readKey: () => readWireguardKey(paths.wireguardKey),
  });
  const mesh = openWireGuard({
    run: runCommand,
    name: config.meshInterface,
    keyFile: paths.meshKey,
    readKey: () => readWireguardKey(paths.meshKey),
  });
  const system = openNodeSystem({ run: runCommand, tunnel: wireguard, mesh, journal: paths.journal });
  return { wireguard, mesh, system };
}

export async function selfOf(paths: AgentPaths, config: AgentConfig): Promise<NodeSelf> {
  const publicKey = publicKeyOf(await readWireguardKey(paths.wireguardKey));
  const mesh = {
    interface: config.meshInterface,
    listenPort: config.meshListenPort,
    publicKey: await ensureMeshKey(paths),
  };
  return { node: config.node, interface: config.interface, listenPort: config.listenPort, publicKey, mesh };
}

/** Runs until `stop` is aborted. The tunnel, the rules and the peers stay as they are. */
export async function runAgent(
  paths: AgentPaths,
  config: AgentConfig,
  surroundings: Surroundings,
  stop: AbortSignal,
  log: (line: string) => void,
): Promise<void> {
  const alone = await beAlone(paths.socket);
  log(`node ${config.node} begins; its master is ${config.master}`);
  const { system, wireguard, mesh } = openSystem(paths, config);
  const cache = openCache(paths, config.root);
  const master = connectMaster({
    url: config.master,
    node: config.node,
    key: await readAgentKey(paths),
    now: () => new Date(),
  });
  const self = await selfOf(paths, config);
  const meshKey = self.mesh.publicKey;
  const load = watchLoad();
  const supervisor = openSupervisor({ run: runCommand, directory: paths.services, log });
  const figures = newFigures(() => new Date());
  let arrival: Timer | undefined;
  const onArrival = () => {
    arrival ??= setTimeout(() => {
      arrival = undefined;
      reconciler.wake();
    }, arrivalPauseMs);
  };
  const presence = await openPresence({
    paths,
    config,
    supervisor,
    log,
    onArrival,
    onProbe: figures.probed,
    onStanding: figures.stands,
    onChange: () => outbox.sendAgain(trouble()),
    onUnfit(next) {
      unfit = next;
      if (snapshot !== undefined) reconciler.aimFor(snapshot, unfit);
    },
    onForwardingOff: () => reconciler.wake(),
    remarks: () => inside.problems(),
  });
  const certificate = await keepCertificate({
    keyFile: paths.frontKey,
    certificateFile: paths.certificate,
    node: config.node,
    run: runCommand,
    ask: master.certify,
    now: () => new Date(),
    log,
    onChange: () => {
      inside.certified();
      outbox.sendAgain(trouble());
    },
  });
  const inside = openInside({ supervisor, directory: paths.services, node: config.node, certificate, log });
  const post = (report: AgentReport) => master.report(report);
  const outbox = createOutbox(post, log, presence.besides, presence.delivered);

  const cached = await cache.load();
  let snapshot: Snapshot | undefined = cached.snapshot;
  let bundles: readonly CachedBundle[] = cached.bundles;
  let trust = cached.trust && cached.trustJws ? { version: cached.trust.version, jws: cached.trustJws } : undefined;
  let distrust = cached.closedBecause;
  let unfit: ReadonlySet<string> = new Set();
  figures.holds(snapshot);
  if (distrust !== undefined) log(`closed: ${distrust}`);
  let around = troubleAround(surroundings, config.interface);
  for (const one of around) log(one);
  /** What keeps the newest snapshot from being taken, and what others do to our packets. */
  const trouble = () =>
    [distrust, ...around, ...supervisor.problems(), ...inside.problems()]
      .filter((one) => one !== undefined)
      .join('; ') || undefined;
  const lookAround = async () => {
    const seen = troubleAround(await observeSurroundings(runCommand), config.interface);
    if (seen.join() === around.join()) return;
    around = seen;
    for (const one of around) log(one);
    outbox.sendAgain(trouble());
  };

  /** A node that was added before there was a mesh, or whose key was made anew, says by which key it is known there. */
  const joinMesh = () => {
    const node = snapshot?.nodes.find((candidate) => candidate.name === config.node);
    if (node === undefined || node.mesh?.publicKey === meshKey) return;
    master.joinMesh({ publicKey: meshKey }).catch((error: Error) => log(`joining the mesh: ${error.message}`));
  };

  const offer = () => presence.offer(bundles, trust);
  const onPass = (pass: PassReport) => {
    figures.passed(pass);
    presence.passed(pass.applied, pass.problem === undefined);
    return outbox.send(pass, trouble(), load.latest());
  };

  const caller = openCaller(runCommand, config.meshInterface, log);
  const reconciler = createReconciler({
    system,
    self,
    everyMs: driftEveryMs,
    report: onPass,
    onSeen: ({ mesh: wanted }, seen) => {
      if (wanted !== undefined && seen.mesh !== undefined) caller.seen(wanted.peers, seen.mesh);
    },
    onPass: figures.looped,
    log,
  });
  if (snapshot !== undefined) reconciler.aimFor(snapshot);
  presence.aimFor(snapshot);
  inside.aimFor(snapshot);
  offer();

  for (const one of [wireguard, mesh]) one.onGone(() => reconciler.wake());
  stop.addEventListener('abort', () => reconciler.stop());
  const following = followMaster(
    {
      master,
      cache,
      now: () => new Date(),
      log,
      isStopped: () => stop.aborted,
      // Told by `configure --master`, perhaps while this runs.
      address: async () => (await readConfig(paths)).master,
      onOpen: () => {
        figures.masterIs(true);
        outbox.sendAgain(trouble());
        joinMesh();
        certificate.retry();
      },
      onClosed: () => figures.masterIs(false),
      onTrust: (version, jws) => {
        trust = { version, jws };
        offer();
      },
      onSnapshot: (next) => {
        snapshot = next;
        figures.holds(next);
        reconciler.aimFor(next, unfit);
        presence.aimFor(next);
        inside.aimFor(next);
        joinMesh();
      },
      onBundles: (next) => {
        bundles = next;
        offer();
      },
      onProblem: (problem) => {
        if (problem === distrust) return;
        distrust = problem;
        outbox.sendAgain(trouble());
      },
    },
    snapshot,
    bundles,
  );
  following.catch((error: Error) => log(error.message));
  const events = watchEvents({
    devices: () => [config.interface, config.meshInterface, ...reconciler.devices()],
    onChange: reconciler.wakeUnlessSeen,
  });
  const looking = setInterval(() => lookAround().catch((error: Error) => log(error.message)), lookAroundEveryMs);
  const place = config.metrics === undefined ? undefined : parseLoopback(config.metrics);
  const shown = place && serveFigures(place, figures);
  if (shown !== undefined) log(`figures are at ${shown.url}metrics`);
  await reconciler.run();
  shown?.stop();
  events.stop();
  clearInterval(looking);
  clearTimeout(arrival);
  inside.stop();
  certificate.stop();
  presence.stop();
  load.stop();
  supervisor.stop();
  alone.close();
}
