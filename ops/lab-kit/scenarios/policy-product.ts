import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { Snapshot } from '#contract/snapshot.ts';
import { worldOf } from '#policies/desired/world.ts';
import { checkSource } from '#policies/language/check.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { LabError } from '../command.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { clearFirewall } from '../rules.ts';
import { machineAtHome, machineInCafe, type Office } from './office.ts';
import { ipv6, Party, tellEveryError } from './policy-ground.ts';
import type { PolicyNode, TunnelDevice } from './policy-node.ts';
import { joinByHand, type Master, makeUser, masterOn, stateDir, up } from './product.ts';

const people = [
  { email: 'a@example.com', role: 'ra' },
  { email: 'b@example.com', role: 'rb' },
  { email: 'c@example.com', role: 'rc' },
] as const;
/** Each has the name of its host, and belongs to the person of this place. */
const machines = [
  { name: 'laptop', owner: 0 },
  { name: 'mac', owner: 1 },
  { name: 'phone', owner: 1 },
  { name: 'desk', owner: 2 },
] as const;

/** The product as an operator and four people install it. Documents come to the node as they always do: by the API. */
export async function nodeOfProduct(lab: Lab, office: Office): Promise<PolicyNode> {
  const { node } = office;
  const found = await node.must(['iptables-save']);
  await up(node);
  const master = await masterOn(node);
  await node.ip(`addr add ${ipv6.tunnel}1/64 dev wg0 nodad`);
  await putPolicy(master, withRoles(''));
  const userIds: string[] = [];
  for (const { email, role } of people) userIds.push(await makeUser(master, email, role));
  let snapshot = await snapshotOf(node);
  const devices: TunnelDevice[] = [];
  for (const [index, { name, owner }] of machines.entries()) {
    const host = await (index % 2 === 0 ? machineAtHome : machineInCafe)(lab, office, name);
    devices.push(await join(master, host, userIds[owner] ?? '', snapshot.pool));
  }
  snapshot = await snapshotOf(node);

  const pause = async <Value>(body: () => Promise<Value>) => {
    const agent = node.processes().find(({ argv }) => /agent\/main\.ts run/.test(argv));
    if (agent === undefined) throw new LabError('no agent runs on the node');
    process.kill(agent.pid, 'SIGSTOP');
    try {
      return await body();
    } finally {
      process.kill(agent.pid, 'SIGCONT');
    }
  };
  return {
    name: 'n1',
    tunnel: 'wg0',
    host: node,
    get roster(): PolicyRoster {
      return snapshot;
    },
    devices,
    pause,
    async open() {
      for (const { argv, stdin } of clearFirewall) await node.must(argv, { stdin });
      await node.must(['iptables-restore'], { stdin: found });
    },
    async enforce(source) {
      const document = withRoles(source);
      await putPolicy(master, document);
      snapshot = await snapshotOf(node);
      const checked = checkSource(document);
      if (!checked.ok || snapshot.policy.document !== document) throw new LabError('the node has another document');
      return worldOf(checked.document, snapshot);
    },
  };
}

/** The document with a line for every role that somebody has: it is refused without. */
function withRoles(source: string): string {
  const missing = ['admin', ...people.map(({ role }) => role)].filter(
    (role) => !new RegExp(`^role ${role}\\b`, 'm').test(source),
  );
  return [...(source === '' ? [] : [source]), ...missing.map((role) => `role ${role}`), ''].join('\n');
}

/** A person's device, that then sends whatever it likes: its own client is one's own to end. */
async function join(master: Master, host: Host, userId: string, pool: string): Promise<TunnelDevice> {
  await tellEveryError(host);
  const { device } = await joinByHand(master, host, userId);
  await host.kill9(/postern-client/);
  const [peer = ''] = (await host.must(['wg', 'show', 'postern0', 'peers'])).trim().split('\n');
  await host.must(['wg', 'set', 'postern0', 'peer', peer, 'allowed-ips', '0.0.0.0/0,::/0']);
  await host.ip(`route replace ${pool} dev postern0`);
  // A kernel that began no flow would end it when it is answered.
  const reset = ['-p', 'tcp', '--tcp-flags', 'RST,ACK', 'RST'];
  await host.must(['iptables', '-A', 'OUTPUT', '-o', 'postern0', ...reset, '-j', 'DROP']);
  return { party: new Party(host, 'postern0'), address: device.address, publicKey: device.publicKey };
}

/** Puts a document in force, and waits until it is on the node. */
async function putPolicy({ owner }: Master, document: string): Promise<void> {
  const { etag } = await owner.call('GET', '/v1/policy');
  const { status, text } = await owner.call('PUT', '/v1/policy', { document }, { 'if-match': etag ?? '' });
  if (status !== 200) throw new LabError(`PUT /v1/policy answered ${status}: ${text.slice(0, 2_000)}\n${document}`);
  const { convergence } = v.parse(v.object({ convergence: v.object({ revision: v.number() }) }), JSON.parse(text));
  for (const deadline = performance.now() + 15_000; performance.now() < deadline; await Bun.sleep(50)) {
    const { applied, problem } = (await owner.ask(NodeResource, 'GET', '/v1/nodes/n1')).body;
    if (applied !== null && applied.revision >= convergence.revision && problem === null) return;
  }
  throw new LabError('the node did not put the document in force');
}

/** What the node has on disk: its signature is checked by whom it is for. */
async function snapshotOf(node: Host): Promise<Snapshot> {
  const [, payload = ''] = (await node.must(['cat', `${stateDir}/agent/snapshot.jws`])).split('.');
  return v.parse(Snapshot, JSON.parse(Buffer.from(payload, 'base64url').toString()));
}
