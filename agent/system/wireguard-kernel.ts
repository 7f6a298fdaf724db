import type { InterfaceName } from '#contract/network.ts';
import { parseWgDump } from '#contract/wg.ts';
import type { PeerStep } from '../plan/peers.ts';
import type { RunCommand } from './command.ts';
import type { WireGuardDriver } from './wireguard.ts';

/** Far below the length the kernel allows for a command's arguments. */
const peersPerCommand = 500;

/** WireGuard in the kernel, by wg(8). The key goes by its file's name, never as an argument. */
export function kernelDriver(run: RunCommand, name: InterfaceName, keyFile: string): WireGuardDriver {
  return {
    observe: async () => parseWgDump(await run(['wg', 'show', name, 'dump'])),
    configure: async (listenPort) => {
      await run(['wg', 'set', name, 'private-key', keyFile, 'listen-port', String(listenPort)]);
    },
    applyPeers: async (steps) => {
      for (let start = 0; start < steps.length; start += peersPerCommand)
        await run(['wg', 'set', name, ...steps.slice(start, start + peersPerCommand).flatMap(argumentsOf)]);
    },
  };
}

function argumentsOf(step: PeerStep): readonly string[] {
  if (step.kind === 'remove-peer') return ['peer', step.publicKey, 'remove'];
  const { publicKey, allowedIps, keepalive, endpoint } = step;
  return [
    ...['peer', publicKey, 'allowed-ips', allowedIps.join(',')],
    ...(endpoint === undefined ? [] : ['endpoint', endpoint]),
    ...(keepalive === undefined ? [] : ['persistent-keepalive', String(keepalive)]),
  ];
}
