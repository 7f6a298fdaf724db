import type { ObservedInterface, ObservedPeer } from '#contract/wg.ts';
import type { PeerStep } from '../plan/peers.ts';
import { publicKeyOf } from './wireguard-key.ts';

/**
 * The userspace protocol of WireGuard: `key=value` lines over a UNIX socket, keys in hex, an empty line at the end.
 * See "Cross-platform Userspace Implementation" on wireguard.com.
 */
export const getRequest = 'get=1\n\n';

export class UapiError extends Error {
  override readonly name = 'UapiError';
  readonly code = 'uapi-refused';

  constructor(errno: string) {
    super(`wireguard-go refused the change with errno ${errno}`);
  }
}

export function renderConfigure(privateKey: string, listenPort: number): string {
  return `set=1\nprivate_key=${toHex(privateKey)}\nlisten_port=${listenPort}\n\n`;
}

export function renderPeerSteps(steps: readonly PeerStep[]): string {
  const lines = steps.flatMap((step) =>
    step.kind === 'remove-peer'
      ? [`public_key=${toHex(step.publicKey)}`, 'remove=true']
      : [
          `public_key=${toHex(step.publicKey)}`,
          'replace_allowed_ips=true',
          ...step.allowedIps.map((cidr) => `allowed_ip=${cidr}`),
          ...(step.endpoint === undefined ? [] : [`endpoint=${step.endpoint}`]),
          ...(step.keepalive === undefined ? [] : [`persistent_keepalive_interval=${step.keepalive}`]),
        ],
  );
  return `set=1\n${lines.join('\n')}\n\n`;
}

/** @throws UapiError unless the answer says errno=0. */
export function checkSetAnswer(text: string): void {
  const errno = /^errno=(-?\d+)$/m.exec(text)?.[1];
  if (errno !== '0') throw new UapiError(errno ?? '(none given)');
}

/**
 * Reads the answer to `getRequest`. The private key is turned into its public key here and goes no further.
 *
 * @throws UapiError, or SyntaxError on a line it cannot read.
 */
export function parseGetAnswer(text: string): ObservedInterface {
  checkSetAnswer(text);
  let publicKey = '';
  let listenPort = 0;
  const peers: (ObservedPeer & { allowedIps: string[] })[] = [];
  for (const line of text.split('\n').filter((candidate) => candidate !== '')) {
    const at = line.indexOf('=');
    const key = line.slice(0, at);
    const value = line.slice(at + 1);
    if (at < 1) throw new SyntaxError('uapi: a line has no key');
    const peer = peers.at(-1);
    if (key === 'public_key') peers.push(emptyPeer(toBase64(value)));
    else if (key === 'private_key') publicKey = publicKeyOf(toBase64(value));
    else if (key === 'listen_port') listenPort = Number(value);
    else if (peer !== undefined) readPeerLine(peer, key, value);
  }
  return { publicKey, listenPort, peers };
}

function emptyPeer(publicKey: string): ObservedPeer & { allowedIps: string[] } {
  return {
    publicKey,
    endpoint: undefined,
    allowedIps: [],
    latestHandshake: 0,
    receivedBytes: 0,
    sentBytes: 0,
    persistentKeepaliveSeconds: 0,
  };
}

function readPeerLine(peer: ObservedPeer & { allowedIps: string[] }, key: string, value: string): void {
  if (key === 'allowed_ip') peer.allowedIps.push(value);
  else if (key === 'endpoint') peer.endpoint = value;
  else if (key === 'last_handshake_time_sec') peer.latestHandshake = Number(value);
  else if (key === 'rx_bytes') peer.receivedBytes = Number(value);
  else if (key === 'tx_bytes') peer.sentBytes = Number(value);
  else if (key === 'persistent_keepalive_interval') peer.persistentKeepaliveSeconds = Number(value);
}

function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
