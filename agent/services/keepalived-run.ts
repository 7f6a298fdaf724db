import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Vrrp } from '#policies/desired/vrrp.ts';
import { hasAddress } from '../system/link.ts';
import { type KeepalivedPlace, keepalivedDaemon, startupDelayMs, trackFiles, vrrpPidFile } from './keepalived.ts';
import { ageMs, processAt } from './processes.ts';
import type { Supervisor } from './supervise.ts';

/** keepalived beside this agent: what it should be, what it may do, and whether it lives. */
export interface Keepalived {
  /** Undefined where nothing moves between nodes. It is started once this node's address in the mesh is there. */
  aimFor(vrrp: Vrrp | undefined): void;
  /** Whether the node may hold the address, and whether it hears no other node. Taken up at once. */
  allow(mayHold: boolean, isIsolated: boolean): void;
  isWanted(): boolean;
  /** Whether the process that speaks VRRP lives and works, and for long enough to have decided anything. */
  speaker(): { isAlive: boolean; hasSettled: boolean };
  /** Called now and then, since addresses come to be without a word. */
  look(): void;
}

export function runKeepalived(supervisor: Supervisor, place: KeepalivedPlace): Keepalived {
  const files = trackFiles(place.directory);
  let wanted: Vrrp | undefined;
  let isStarted = false;
  let speaker: number | undefined;
  const written = new Map<string, string>();

  const write = (path: string, text: string) => {
    if (written.get(path) === text) return;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    written.set(path, text);
  };
  const look = () => {
    if (wanted === undefined || isStarted || !hasAddress(wanted.address)) return;
    // Until something is known, a node that begins does not take the address, and one that holds it keeps it.
    for (const path of Object.values(files)) if (!existsSync(path)) write(path, '1');
    isStarted = true;
    supervisor.set('keepalived', keepalivedDaemon(wanted, place));
  };
  const isSpeaker = (pid: number, session: number | undefined) => {
    const found = processAt(pid);
    return found !== undefined && found.session === session && !/^[tT]$/.test(found.state);
  };

  return {
    aimFor(vrrp) {
      wanted = vrrp;
      if (vrrp === undefined) {
        isStarted = false;
        written.clear();
        supervisor.set('keepalived', undefined);
      } else if (isStarted) supervisor.set('keepalived', keepalivedDaemon(vrrp, place));
      else look();
    },
    allow(mayHold, isIsolated) {
      if (wanted === undefined) return;
      write(files.health, mayHold ? '0' : '1');
      write(files.isolation, isIsolated ? '1' : '0');
    },
    isWanted: () => wanted !== undefined,
    speaker() {
      const { pid } = supervisor.state('keepalived');
      if (speaker === undefined || !isSpeaker(speaker, pid)) speaker = readPid(vrrpPidFile(place.directory));
      const isAlive = speaker !== undefined && isSpeaker(speaker, pid);
      return { isAlive, hasSettled: isAlive && ageMs(speaker ?? 0) >= startupDelayMs };
    },
    look,
  };
}

function readPid(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').trim()) || undefined;
  } catch {
    return undefined;
  }
}
