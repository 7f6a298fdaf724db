import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { InterfaceName } from '#contract/network.ts';
import type { ObservedInterface } from '#contract/wg.ts';
import type { PeerStep } from '../plan/peers.ts';
import { CommandError, MissingProgram, type RunCommand } from './command.ts';
import { kernelDriver } from './wireguard-kernel.ts';
import { answersOn, userspaceDriver, watchSocket } from './wireguard-userspace.ts';

/** The two ways to WireGuard: in the kernel, and a program beside it. Doing anything twice changes nothing. */
export interface WireGuardDriver {
  observe(): Promise<ObservedInterface>;
  /** Sets the node's own key and its port. */
  configure(listenPort: number): Promise<void>;
  applyPeers(steps: readonly PeerStep[]): Promise<void>;
}

export interface WireGuard {
  readonly name: InterfaceName;
  /** Undefined when there is no interface, or nothing serves it. */
  driver(): Promise<WireGuardDriver | undefined>;
  /** Makes the interface, without key, address or peers: in the kernel where it can, else by wireguard-go. */
  create(): Promise<WireGuardDriver>;
  /** An absent interface is not an error. */
  remove(): Promise<void>;
  /** Calls back when wireguard-go ends. WireGuard in the kernel does not. */
  onGone(callback: () => void): void;
}

export type WireGuardOptions = {
  run: RunCommand;
  name: InterfaceName;
  keyFile: string;
  readKey: () => Promise<string>;
  socketDirectory?: string;
};

const endsWithinMs = 5_000;

export function openWireGuard(options: WireGuardOptions): WireGuard {
  const { run, name, keyFile, readKey, socketDirectory = '/var/run/wireguard' } = options;
  const socket = `${socketDirectory}/${name}.sock`;
  // Not /sys/class/net, which shows the network of whoever mounted it.
  const exists = () => existsSync(`/proc/sys/net/ipv4/conf/${name}`);
  const userspace = userspaceDriver(socket, readKey);
  const kernel = kernelDriver(run, name, keyFile);

  const watch = watchSocket(socket);

  const driver = async () => {
    // The link alone says little: wireguard-go may be dead, and its socket may outlive it.
    if (await answersOn(socket)) {
      watch.begin();
      return userspace;
    }
    return exists() ? kernel : undefined;
  };

  return {
    name,
    driver,
    onGone: watch.onEnd,
    async create() {
      if (exists()) return (await driver()) ?? kernel;
      try {
        await run(['ip', 'link', 'add', 'dev', name, 'type', 'wireguard']);
        return kernel;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
      }
      await mkdir(socketDirectory, { recursive: true, mode: 0o700 });
      await startWireguardGo(run, name);
      return userspace;
    },
    async remove() {
      if (exists()) await run(['ip', 'link', 'delete', 'dev', name]);
      // wireguard-go ends by itself when its link is gone, and takes its socket along, but not at once.
      for (const end = performance.now() + endsWithinMs; performance.now() < end; await Bun.sleep(10))
        if (!(await answersOn(socket))) return;
    },
  };
}

/**
 * wireguard-go goes to the background by itself once it serves. `setsid` gives it a session of its own, so that what
 * ends the agent (a terminal's Ctrl-C) does not end the tunnel.
 */
async function startWireguardGo(run: RunCommand, name: InterfaceName): Promise<void> {
  if (Bun.which('wireguard-go') === null) throw new MissingProgram('wireguard-go');
  await run(['setsid', '--wait', 'wireguard-go', name]);
}
