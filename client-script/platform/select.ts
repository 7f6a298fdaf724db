import { ClientFailure } from '../failure.ts';
import { runCommand } from './command.ts';
import { linux } from './linux.ts';
import type { Platform } from './platform.ts';

/** The adapter of this operating system. The only place that asks which one it is. */
export function selectPlatform(system: string = process.platform): Platform {
  if (system === 'linux') return linux(runCommand);
  const name = { darwin: 'macOS', win32: 'Windows' }[system] ?? system;
  throw new ClientFailure(
    'lacking',
    'platform-unsupported',
    `There is no Postern client for ${name} yet`,
    'Join from a Linux machine, or ask your admin when the client for this system comes.',
  );
}
