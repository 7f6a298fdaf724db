import type { PublicKey } from './key.ts';
import type { Cidr } from './network.ts';

/** A peer as `wg show INTERFACE dump` tells it; see wg(8). */
export type ObservedPeer = {
  publicKey: PublicKey;
  endpoint: string | undefined;
  allowedIps: readonly Cidr[];
  /** Unix seconds, 0 for never. */
  latestHandshake: number;
  receivedBytes: number;
  sentBytes: number;
  /** 0 for off. */
  persistentKeepaliveSeconds: number;
};

export type ObservedInterface = { publicKey: PublicKey; listenPort: number; peers: readonly ObservedPeer[] };

/**
 * Reads `wg show INTERFACE dump`. The private and preshared keys in it are dropped here and go no further.
 *
 * @throws SyntaxError when the text has another shape: an unreadable observation is not an empty one.
 */
export function parseWgDump(text: string): ObservedInterface {
  const [head, ...rest] = text.split('\n').filter((line) => line !== '');
  const fields = head?.split('\t') ?? [];
  const [, publicKey, listenPort] = fields;
  if (fields.length !== 4 || publicKey === undefined) throw new SyntaxError('wg dump: the interface line is malformed');
  return { publicKey, listenPort: Number(listenPort), peers: rest.map(parsePeer) };
}

function parsePeer(line: string): ObservedPeer {
  const fields = line.split('\t');
  const [publicKey = '', , endpoint, allowedIps = '', handshake, received, sent, keepalive] = fields;
  if (fields.length !== 8) throw new SyntaxError('wg dump: a peer line is malformed');
  return {
    publicKey,
    endpoint: endpoint === '(none)' ? undefined : endpoint,
    allowedIps: allowedIps === '(none)' ? [] : allowedIps.split(','),
    latestHandshake: Number(handshake),
    receivedBytes: Number(received),
    sentBytes: Number(sent),
    persistentKeepaliveSeconds: keepalive === 'off' ? 0 : Number(keepalive),
  };
}
