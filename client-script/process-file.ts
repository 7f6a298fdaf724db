import { readFile, rm } from 'node:fs/promises';
import * as v from 'valibot';
import type { Platform } from './platform/platform.ts';
import type { StateFiles } from './state-files.ts';

const ProcessRecord = v.object({ pid: v.number(), identity: v.string() });
type ProcessRecord = v.InferOutput<typeof ProcessRecord>;

/**
 * Which process watches this tunnel. The number alone is not trusted: after a crash or a reboot another process may
 * have it, so its start is kept too.
 */
export class ProcessFile {
  private readonly files: StateFiles;
  private readonly platform: Pick<Platform, 'identifyProcess'>;

  constructor(files: StateFiles, platform: Pick<Platform, 'identifyProcess'>) {
    this.files = files;
    this.platform = platform;
  }

  /** The watcher that runs now, if one does. */
  async running(): Promise<number | undefined> {
    const record = await this.read();
    if (record === undefined) return undefined;
    return (await this.platform.identifyProcess(record.pid)) === record.identity ? record.pid : undefined;
  }

  /** Makes this process the watcher. @returns false when another one is it. */
  async claim(): Promise<boolean> {
    const other = await this.running();
    if (other !== undefined && other !== process.pid) return false;
    await this.record(process.pid);
    return true;
  }

  /** Names a process as the watcher, so that it can be stopped from its first moment on. */
  async record(pid: number): Promise<void> {
    const identity = (await this.platform.identifyProcess(pid)) ?? '';
    await this.files.write('watch.pid', JSON.stringify({ pid, identity } satisfies ProcessRecord));
  }

  /** Whether this process still is the watcher: of two that claimed at once, the one that wrote last. */
  async isHeld(): Promise<boolean> {
    return (await this.read())?.pid === process.pid;
  }

  async release(): Promise<void> {
    if (await this.isHeld()) await rm(this.files.pidFile, { force: true });
  }

  /** Ends the watcher and waits until it is gone. There being none is no error. */
  async stop(): Promise<void> {
    const pid = await this.running();
    if (pid !== undefined) {
      const identity = await this.platform.identifyProcess(pid);
      // Its file is gone before it is.
      const isThere = async () => (await this.platform.identifyProcess(pid)) === identity;
      signal(pid, 'SIGTERM');
      for (let waitedMs = 0; (await isThere()) && waitedMs < 3_000; waitedMs += 20) await pause(20);
      if (await isThere()) signal(pid, 'SIGKILL');
    }
    await rm(this.files.pidFile, { force: true });
  }

  private async read(): Promise<ProcessRecord | undefined> {
    try {
      return v.parse(ProcessRecord, JSON.parse(await readFile(this.files.pidFile, 'utf8')));
    } catch {
      // Missing or damaged: nobody can be named, so nobody is.
      return undefined;
    }
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself in the meantime.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
