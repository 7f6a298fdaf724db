import type { PeerObservation } from '#contract/agent.ts';
import type { Version } from '#contract/snapshot.ts';

/** The sending half of an agent's WebSocket. */
export type Channel = { send(text: string): void; close(code: number, reason: string): void };

/** What all nodes together observed of one device. */
export type Observation = { latestHandshake: string | null; receivedBytes: number; sentBytes: number };

/** WireGuard forgets a session after this long without a new handshake (REJECT_AFTER_TIME). */
const sessionSeconds = 180;

export type Fleet = ReturnType<typeof newFleet>;

/**
 * What is known of the nodes only while the master runs: their channels, who waits for them, and what they last saw of
 * each device. A restart forgets it; within a report's interval it is back.
 */
export function newFleet() {
  const channels = new Map<string, Set<Channel>>();
  const observed = new Map<string, ReadonlyMap<string, PeerObservation>>();
  const waiting = new Set<() => void>();

  return {
    /** @returns how to leave again; leaving twice does nothing. */
    join(node: string, channel: Channel): () => void {
      const ofNode = channels.get(node) ?? new Set();
      channels.set(node, ofNode.add(channel));
      return () => {
        ofNode.delete(channel);
        if (ofNode.size === 0 && channels.get(node) === ofNode) channels.delete(node);
      };
    },
    isConnected: (node: string): boolean => channels.has(node),
    announce(version: Version): void {
      const text = JSON.stringify(version);
      for (const ofNode of channels.values()) for (const channel of ofNode) channel.send(text);
    },
    /** Ends a node's channels and forgets what it saw. */
    expel(node: string): void {
      const ofNode = channels.get(node) ?? [];
      channels.delete(node);
      observed.delete(node);
      for (const channel of ofNode) channel.close(4003, 'this node was removed');
    },
    /** Has the agents connect anew: they look at the list of keys whenever they do. */
    reconnectAll(): void {
      for (const ofNode of channels.values())
        for (const channel of ofNode) channel.close(1012, 'the keys were renewed');
    },
    closeAll(): void {
      for (const ofNode of channels.values()) for (const channel of ofNode) channel.close(1001, 'the master stops');
      channels.clear();
    },
    recordPeers(node: string, peers: readonly PeerObservation[]): void {
      observed.set(node, new Map(peers.map((peer) => [peer.publicKey, peer])));
    },
    /** The WireGuard keys of devices with a session, by any node or by one: a handshake in the last three minutes. */
    onlineKeys(now: Date, node?: string): string[] {
      const since = now.getTime() / 1000 - sessionSeconds;
      const reports = node === undefined ? [...observed.values()] : [observed.get(node) ?? new Map()];
      const peers = reports.flatMap((report): PeerObservation[] => [...report.values()]);
      return peers.filter(({ latestHandshake }) => latestHandshake >= since).map(({ publicKey }) => publicKey);
    },
    observationOf(publicKey: string): Observation {
      let handshake = 0;
      let receivedBytes = 0;
      let sentBytes = 0;
      for (const peers of observed.values()) {
        const peer = peers.get(publicKey);
        if (peer === undefined) continue;
        handshake = Math.max(handshake, peer.latestHandshake);
        receivedBytes += peer.receivedBytes;
        sentBytes += peer.sentBytes;
      }
      return { latestHandshake: momentOf(handshake), receivedBytes, sentBytes };
    },
    /** Somebody reported: whoever waits looks again. */
    reported(): void {
      for (const look of [...waiting]) look();
    },
    /** Resolves when `isDone` says so, asked now and after each report, or after the time is over. */
    async until(isDone: () => boolean, milliseconds: number): Promise<void> {
      if (isDone()) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        if (isDone()) resolve();
      };
      waiting.add(look);
      const timer = setTimeout(resolve, milliseconds);
      await promise;
      clearTimeout(timer);
      waiting.delete(look);
    },
  };
}

function momentOf(unixSeconds: number): string | null {
  const moment = new Date(unixSeconds * 1000);
  return unixSeconds === 0 || Number.isNaN(moment.getTime()) ? null : moment.toISOString();
}
