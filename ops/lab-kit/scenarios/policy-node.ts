import { compileFirewall } from '#policies/compile/compile.ts';
import { checkSource } from '#policies/language/check.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { resolve, type World } from '#policies/meaning/world.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { type Command, clearFirewall, loadFirewall } from '../rules.ts';
import { addresses, machineAtHome, machineInCafe, type Office } from './office.ts';
import { ipv6, Party, tellEveryError } from './policy-ground.ts';

/** A device inside the tunnel, and the node's end of it. */
export type TunnelDevice = { party: Party; address: string; publicKey: string };

/** A node that enforces documents, and the devices that are connected to it. */
export type PolicyNode = {
  name: string;
  tunnel: string;
  host: Host;
  roster: PolicyRoster;
  devices: readonly TunnelDevice[];
  /** Puts a document in force. @returns what it means. */
  enforce(source: string): Promise<World>;
  /** Takes everything away that is in force: nothing is filtered. */
  open(): Promise<void>;
};

const pool = '10.91.64.0/18';
const tunnelAddress = '10.91.64.2';
const vip = '10.91.64.1';
export const frontAddresses = { web: '10.91.127.1', git: '10.91.127.2', dns: '10.91.127.3' } as const;

const people = [
  { email: 'a@x.y', role: 'ra' },
  { email: 'b@x.y', role: 'rb' },
  { email: 'c@x.y', role: 'rc' },
] as const;
const machines = [
  { name: 'laptop', email: 'a@x.y' },
  { name: 'Old Mac', email: 'b@x.y' },
  { name: 'phone', email: 'b@x.y' },
  { name: 'laptop', email: 'c@x.y' },
] as const;

/** A node whose rules are loaded by hand. */
export async function nodeByHand(lab: Lab, office: Office): Promise<PolicyNode> {
  const { node } = office;
  const nodeKey = await startTunnel(node, `${tunnelAddress}/32`, 'listen-port', '51820');
  await node.ip(
    `route add ${pool} dev wg0`,
    ...[vip, ...Object.values(frontAddresses)].map((one) => `addr add ${one}/32 dev lo`),
  );
  await node.ip(`addr add ${ipv6.tunnel}1/64 dev wg0 nodad`);
  await node.sysctl('net.netfilter.nf_conntrack_tcp_loose', 0);
  const devices: TunnelDevice[] = [];
  for (const index of machines.keys()) {
    const address = `10.91.65.${index + 1}`;
    const host = await (index % 2 === 0 ? machineAtHome : machineInCafe)(lab, office, `device-${index + 1}`);
    await tellEveryError(host);
    const publicKey = await startTunnel(host, `${address}/32`);
    await node.must(['wg', 'set', 'wg0', 'peer', publicKey, 'allowed-ips', `${address}/32`]);
    const peer = ['wg', 'set', 'wg0', 'peer', nodeKey, 'endpoint', `${addresses.node}:51820`];
    await host.must([...peer, 'allowed-ips', '0.0.0.0/0,::/0', 'persistent-keepalive', '20']);
    await host.ip(`route add ${pool} dev wg0`);
    // A kernel that began no flow would end it when it is answered.
    const reset = ['-p', 'tcp', '--tcp-flags', 'RST,ACK', 'RST'];
    await host.must(['iptables', '-A', 'OUTPUT', '-o', 'wg0', ...reset, '-j', 'DROP']);
    devices.push({ party: new Party(host, 'wg0'), address, publicKey });
  }
  const roster: PolicyRoster = {
    pool,
    users: people.map(({ email, role }) => ({ id: email, email, role })),
    devices: machines.map(({ name, email }, index) => ({ userId: email, name, address: `10.91.65.${index + 1}` })),
    nodes: [{ name: 'n1', tunnelAddress }],
    fronts: Object.entries(frontAddresses).map(([service, address]) => ({ service, address })),
    vip,
    api: { node: 'n1', port: 8443 },
  };
  const found = await node.must(['iptables-save']);
  const open = async () => {
    await tell(node, clearFirewall);
    await node.must(['iptables-restore'], { stdin: found });
  };
  return {
    name: 'n1',
    tunnel: 'wg0',
    host: node,
    roster,
    devices,
    open,
    async enforce(source) {
      const checked = checkSource(source);
      if (!checked.ok) throw new Error(`the document has errors: ${JSON.stringify(checked.diagnostics)}\n${source}`);
      const world = resolve(checked.document, roster);
      await open();
      await tell(node, loadFirewall(compileFirewall(world, { node: 'n1', revision: 1 }), Date.now()));
      return world;
    },
  };
}

async function tell(host: Host, commands: readonly Command[]): Promise<void> {
  for (const { argv, stdin } of commands) await host.must(argv, { stdin });
}

/** @returns the public key. */
async function startTunnel(host: Host, address: string, ...settings: readonly string[]): Promise<string> {
  const program = host.start('wireguard', ['wireguard-go', '-f', 'wg0'], { env: { LOG_LEVEL: 'error' } });
  while ((await host.run(['wg', 'show', 'wg0'])).exitCode !== 0) {
    if (program.output().includes('Failed')) throw new Error(program.output());
    await Bun.sleep(10);
  }
  const key = await host.must(['wg', 'genkey']);
  await host.must(['wg', 'set', 'wg0', ...settings, 'private-key', '/dev/stdin'], { stdin: key });
  await host.ip(`addr add ${address} dev wg0`, 'link set wg0 mtu 1420 up');
  return (await host.must(['wg', 'pubkey'], { stdin: key })).trim();
}
