import { dlopen } from 'bun:ffi';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type ConnectionLimits, surplus } from '../decisions/shedding.ts';
import { callerGroup } from '../formats/client-address.ts';
import { parseProcNetTcp } from '../formats/proc-net-tcp.ts';
import type { FailureLog } from './errors.ts';

/** Agents have one connection each, and browsers a few; many people may share one address. */
const perGroup = 256;
/** Of the files that this process may open, for connections. The rest is the database's and for what comes next. */
const shareOfFiles = 0.75;
const everyMilliseconds = 1_000;

export type Watching = { stop(): void };

/**
 * Bounds the connections of one address, and of all. Bun's server has no such limit and does not hand out its sockets,
 * so this looks at the process from outside, once a second: /proc says which of its files is a socket to whom, and
 * shutdown(2) ends one as if the other side had. What never sends a whole request Bun itself ends within 12 seconds.
 */
export function boundConnections(port: () => number, log: FailureLog): Watching {
  const libc = dlopen('libc.so.6', { shutdown: { args: ['i32', 'i32'], returns: 'i32' } });
  const limits: ConnectionLimits = { perGroup, all: Math.floor(mostFiles() * shareOfFiles) };
  const look = () => {
    try {
      // Below this nobody can have too many, and to look closer is not worth it.
      if (readdirSync('/proc/self/fd').length <= perGroup) return;
      const ended = surplus(connectionsTo(port()), limits);
      for (const { file } of ended) libc.symbols.shutdown(file, bothWays);
      if (ended.length > 0)
        log.error({ ended: ended.length, addresses: groupsOf(ended) }, 'connections were ended: there were too many');
    } catch (error) {
      log.error({ err: error }, 'the number of connections could not be bounded');
    }
  };
  const timer = setInterval(look, everyMilliseconds);
  return {
    stop() {
      clearInterval(timer);
      libc.close();
    },
  };
}

const bothWays = 2;

/** Nothing is awaited from here to the shutdown, so that no number means another file by then. */
function connectionsTo(port: number): { group: string; age: number; file: number }[] {
  const files = new Map<number, number>();
  for (const name of readdirSync('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(name))?.[1];
    if (inode !== undefined) files.set(Number(inode), Number(name));
  }
  return ['tcp', 'tcp6']
    .flatMap((kind) => parseProcNetTcp(readFileSync(`/proc/self/net/${kind}`, 'utf8')))
    .filter(({ localPort, isEstablished }) => localPort === port && isEstablished)
    .flatMap(({ remote, inode }) => {
      const file = files.get(inode);
      return file === undefined ? [] : { group: callerGroup(remote), age: inode, file };
    });
}

/** The folder that is read stands among them, and is gone by now. */
function linkOf(file: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return '';
  }
}

function groupsOf(connections: readonly { group: string }[]): number {
  return new Set(connections.map(({ group }) => group)).size;
}

function mostFiles(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
}
