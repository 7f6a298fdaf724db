import { hostname } from 'node:os';
import * as v from 'valibot';
import type { Bundle } from '#contract/bundle.ts';
import type { Thumbprint } from '#contract/key.ts';
import { DisplayName, type Name } from '#contract/name.ts';
import { verifyBundle, verifyManifest } from './bundle.ts';
import { type CodeSource, readCode } from './code-source.ts';
import { connectTo, type Proof, raiseLink, requireAbilities } from './connect.ts';
import { ClientFailure, isFailure } from './failure.ts';
import { type Master, openMaster } from './master.ts';
import { loadJoined } from './membership.ts';
import type { Platform } from './platform/platform.ts';
import { ProcessFile } from './process-file.ts';
import type { Progress } from './progress.ts';
import type { DeviceKeys, Membership, StateFiles } from './state-files.ts';
import { interfaceName, type LocalRoute, type RefusedRoute, refusedRoutes } from './tunnel.ts';
import { up } from './up-down.ts';

export type JoinRequest = { master: URL; root: Thumbprint; name: string | undefined; code: CodeSource };

export type Doing = {
  platform: Platform;
  files: StateFiles;
  progress: Progress;
  now: () => number;
  startWatcher: () => Promise<void>;
};

export type JoinReport = {
  deviceName: string;
  address: string;
  networks: Bundle['networks'];
  refused: readonly RefusedRoute[];
  pending: readonly Name[];
} & (
  | { alreadyJoined: true }
  | { alreadyJoined: false; node: Name; codeSentAt: string; joinMs: number; handshakeMs: number }
);

/**
 * Redeems a code and brings this machine inside. A run that was cut off anywhere is resumed by the next with the same
 * code, since the keys stay and the master gives the same answers; a device that has joined is only brought up.
 *
 * @throws ClientFailure
 */
export async function join(request: JoinRequest, doing: Doing): Promise<JoinReport> {
  const { platform, files, progress, now } = doing;
  await requireAbilities(platform);
  const joined = await loadJoined(files);
  if (joined !== undefined) {
    const { membership, bundle } = joined;
    if (membership.master !== request.master.href || membership.root !== request.root)
      throw joinedElsewhere(membership);
    await resume(doing);
    return { alreadyJoined: true, ...summary(bundle, await platform.localRoutes(interfaceName)) };
  }
  const deviceName = chooseName(request.name);
  const isFresh = !(await files.exists());
  const master = await progress.step('Checking the master', () => openTrusted(request, now));
  try {
    await files.prepare();
    const keys = await files.loadOrMakeKeys();
    const code = await readCode(request.code);
    const codeSentAt = now();
    const start = performance.now();
    const enrolment = await progress.step(
      'Redeeming the code',
      () => enrol(master, keys, { code, deviceName }, doing),
      ({ bundle }) => `${bundle.deviceName}, ${bundle.address}`,
    );
    await progress.step(`Bringing up ${interfaceName}`, () => raiseLink(platform, files, enrolment.bundle));
    const { bundle, appliedBy, pending } = await progress.step(
      'Registering this device',
      () => confirm(master, keys, enrolment, request, doing),
      (result) => `known to ${result.appliedBy.join(', ') || 'no node yet'}`,
    );
    master.close();
    const proof = await progress.step(
      'Connecting',
      () => prove(doing, bundle, appliedBy, pending),
      ({ node, handshakeMs }) => `${node} answered, handshake after ${Math.round(handshakeMs)} ms`,
    );
    return {
      alreadyJoined: false,
      ...summary(bundle, await platform.localRoutes(interfaceName)),
      pending,
      node: proof.node,
      codeSentAt: new Date(codeSentAt).toISOString(),
      joinMs: round(proof.answeredAt - start),
      handshakeMs: round(proof.handshakeMs),
    };
  } catch (error) {
    // Whoever was deceived is left as before. Other failures keep the keys, so that the next run can go on.
    if (isFresh && isFailure(error, 'untrusted')) await files.removeAll();
    throw error;
  } finally {
    master.close();
  }
}

/** The master, once its keys, its certificate and what it hands out are found to be the pinned root's. */
async function openTrusted({ master: url, root }: JoinRequest, now: () => number): Promise<Master> {
  const master = await openMaster(url, root);
  try {
    const manifest = await master.manifest();
    if (manifest !== undefined) await verifyManifest(manifest, master.trust, { at: now() });
    return master;
  } catch (error) {
    master.close();
    throw error;
  }
}

/** A run that was cut off after the code was spent, or a reboot, leaves a member without a tunnel. */
async function resume(doing: Doing): Promise<void> {
  const { platform, files } = doing;
  const isWatched = (await new ProcessFile(files, platform).running()) !== undefined;
  if (isWatched && (await platform.observe(interfaceName)) !== undefined) return;
  await up(doing);
}

type Enrolment = { lease: Awaited<ReturnType<Master['enrol']>>; bundle: Bundle };

async function enrol(
  master: Master,
  { wireguard, credential }: DeviceKeys,
  { code, deviceName }: { code: string; deviceName: string },
  { platform, files, now }: Doing,
): Promise<Enrolment> {
  const lease = await master.enrol({
    code,
    publicKey: wireguard.publicKey,
    credentialKey: credential.x,
    deviceName,
    platform: platform.name,
  });
  const expected = { deviceKey: wireguard.publicKey, notOlderThan: undefined };
  const bundle = await verifyBundle(lease.bundle, master.trust, expected, { at: now() }).catch(afterCode);
  if (lease.address !== bundle.address) {
    throw new ClientFailure(
      'untrusted',
      'lease-differs',
      `The master answers with the address ${lease.address}, and its signature is for ${bundle.address}`,
      codeIsOut,
    );
  }
  await files.saveSigned('trust', master.trustJws);
  await files.saveSigned('bundle', lease.bundle);
  return { lease, bundle };
}

const codeIsOut =
  'Nothing was installed, but the code was sent by then. Tell your admin: the code should be withdrawn, and the key of the certificate may be stolen.';

/** Whoever gave a false answer to the code has read it. */
function afterCode(error: unknown): never {
  if (!isFailure(error, 'untrusted')) throw error;
  throw new ClientFailure('untrusted', error.code, error.message, codeIsOut, error);
}

type Confirmed = { bundle: Bundle; appliedBy: readonly Name[]; pending: readonly Name[] };

async function confirm(
  master: Master,
  { wireguard }: DeviceKeys,
  { lease, bundle: leased }: Enrolment,
  request: JoinRequest,
  { platform, files, now }: Doing,
): Promise<Confirmed> {
  try {
    const result = await master.confirm(lease, wireguard.publicKey);
    const expected = { deviceKey: wireguard.publicKey, notOlderThan: leased };
    const bundle = await verifyBundle(result.bundle, master.trust, expected, { at: now() }).catch(afterCode);
    await files.saveSigned('bundle', result.bundle);
    await files.saveMembership({
      master: request.master.href,
      root: request.root,
      deviceId: result.deviceId,
      deviceName: bundle.deviceName,
      reached: [...result.appliedBy],
    });
    return { bundle, appliedBy: result.appliedBy, pending: result.pending };
  } catch (error) {
    await platform.lower(interfaceName);
    throw error;
  }
}

/** With no node confirmed yet all are tried: by now one may know the device, and trying costs nothing else. */
async function prove(
  doing: Doing,
  bundle: Bundle,
  appliedBy: readonly Name[],
  pending: readonly Name[],
): Promise<Proof> {
  const names = appliedBy.length > 0 ? appliedBy : pending.length > 0 ? pending : bundle.nodes.map(({ name }) => name);
  try {
    const proof = await connectTo(doing.platform, bundle, new Set(names));
    await doing.files.saveActive({ node: proof.node, since: new Date(doing.now()).toISOString() });
    return proof;
  } finally {
    await doing.startWatcher();
  }
}

function summary(bundle: Bundle, localRoutes: readonly LocalRoute[]) {
  return {
    deviceName: bundle.deviceName,
    address: bundle.address,
    networks: bundle.networks,
    refused: refusedRoutes(bundle, localRoutes),
    pending: [] as readonly Name[],
  };
}

/** The name asked for, or the machine's own as far as it can be one. */
function chooseName(asked: string | undefined): string {
  if (asked !== undefined) {
    const name = v.safeParse(DisplayName, asked);
    if (name.success) return name.output;
    throw new ClientFailure(
      'usage',
      'name-malformed',
      `The device name ${name.issues[0].message}`,
      'Give another --name.',
    );
  }
  const short = hostname().split('.')[0] ?? '';
  return v.is(DisplayName, short) ? short : 'linux machine';
}

function joinedElsewhere({ master, root }: Membership): ClientFailure {
  return new ClientFailure(
    'failed',
    'joined-elsewhere',
    `This device has joined ${master} already (root ${root})`,
    'To join another master, run `postern-client leave` first.',
  );
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
