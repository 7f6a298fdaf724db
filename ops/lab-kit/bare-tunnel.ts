import { complete } from './command.ts';
import type { Host } from './host.ts';

/** A WireGuard interface with nothing of ours around it. */
export type BarePeer = { publicKey: string; allowedIps: string; endpoint?: string; keepalive?: number };

export async function makeKeys(): Promise<{ privateKey: string; publicKey: string }> {
  const privateKey = (await complete(['wg', 'genkey'])).stdout.trim();
  return { privateKey, publicKey: (await complete(['wg', 'pubkey'], { stdin: privateKey })).stdout.trim() };
}

/** The kernel's where it has one, else wireguard-go. */
export async function bareTunnel(
  host: Host,
  name: string,
  { privateKey, address, port }: { privateKey: string; address: string; port?: number },
): Promise<void> {
  const { exitCode } = await host.run(['ip', 'link', 'add', name, 'type', 'wireguard']);
  if (exitCode !== 0) await host.must(['wireguard-go', name]);
  const settings = ['private-key', '/dev/stdin', ...(port === undefined ? [] : ['listen-port', `${port}`])];
  await host.must(['wg', 'set', name, ...settings], { stdin: privateKey });
  await host.ip(`addr add ${address} dev ${name}`, `link set ${name} mtu 1420 up`);
}

export async function setBarePeer(host: Host, name: string, peer: BarePeer): Promise<void> {
  const { publicKey, allowedIps, endpoint, keepalive } = peer;
  await host.must([
    ...['wg', 'set', name, 'peer', publicKey, 'allowed-ips', allowedIps],
    ...(endpoint === undefined ? [] : ['endpoint', endpoint]),
    ...(keepalive === undefined ? [] : ['persistent-keepalive', `${keepalive}`]),
  ]);
}
