import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { packageOf, type RunCommand } from '../system/command.ts';
import { readFileIfPresent, writeFileAtomically } from '../system/files.ts';
import { type Daemon, type DaemonState, isTrouble, longLifeMs, pauseAfter } from './daemon.ts';
import { isRunning, processAt } from './processes.ts';
import { endSession, openProcesses, type RunRecord, send } from './run-record.ts';

/** Keeps programs running beside the agent. They outlive it: the next agent finds them again. */
export interface Supervisor {
  /** The daemon of this name should be so; undefined ends it and removes its files. The same again changes nothing. */
  set(name: string, daemon: Daemon | undefined): void;
  state(name: string): DaemonState;
  /** Whether a daemon of this name should run. */
  isWanted(name: string): boolean;
  /** All that is wrong with the daemons, in words. */
  problems(): readonly string[];
  /** Stops watching. The daemons stay. */
  stop(): void;
}

export type SupervisorOptions = {
  run: RunCommand;
  /** Where the files of all daemons are, each in a directory of its own. */
  directory: string;
  log: (line: string) => void;
  /** A daemon was started, has died, was reloaded or ended, or its problem is another one. */
  onChange?: (name: string) => void;
};

const lookEveryMs = 100;
/** What is neither a death nor a new wish is looked at this often: files that others changed, say. */
const looksPerCheck = 20;
/** What was refused may be taken later: an interface or an address may come to be. */
const checkAgainMs = 5_000;
const trimEveryMs = 60_000;

export function openSupervisor(options: SupervisorOptions): Supervisor {
  const entries = new Map<string, ReturnType<typeof superviseOne>>();
  const entryOf = (name: string) => {
    const entry = entries.get(name) ?? superviseOne(name, options, () => entries.delete(name));
    entries.set(name, entry);
    return entry;
  };
  let looks = 0;
  const looking = setInterval(() => {
    looks += 1;
    for (const entry of entries.values()) entry.look(looks % looksPerCheck === 0);
  }, lookEveryMs);
  const trimming = setInterval(() => {
    for (const entry of entries.values()) entry.trimLog();
  }, trimEveryMs);

  return {
    set: (name, daemon) => entryOf(name).want(daemon),
    state: (name) => entries.get(name)?.state() ?? { pid: undefined, problem: undefined },
    isWanted: (name) => entries.get(name)?.isWanted() ?? false,
    problems: () => [...entries.values()].flatMap((entry) => entry.state().problem ?? []),
    stop() {
      clearInterval(looking);
      clearInterval(trimming);
      for (const entry of entries.values()) entry.stop();
    },
  };
}

function superviseOne(
  name: string,
  { run, directory, log, onChange = () => {} }: SupervisorOptions,
  forget: () => void,
) {
  const processes = openProcesses(directory, name);
  let wanted: Daemon | undefined;
  let running: RunRecord | undefined;
  let problem: string | undefined;
  let hasLooked = false;
  let isBusy = false;
  let isStopped = false;
  /** The death of what `running` tells of was noticed. */
  let isMourned = false;
  let startedAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  let refused: { digest: string; at: number } | undefined;

  const isAlive = () => running !== undefined && isRunning(running);
  const tell = (next: string | undefined) => {
    if (next === problem) return;
    problem = next;
    log(next ?? `${name} is well again`);
    onChange(name);
  };
  const keep = async (record: RunRecord) => {
    running = record;
    await processes.keep(record);
  };

  const end = async () => {
    // The number of a session that is over may have been given to somebody else.
    if (running !== undefined && (isAlive() || processAt(running.pid) === undefined)) await endSession(running.pid);
  };

  const start = async (daemon: Daemon, loaded: string) => {
    await end();
    for (const path of daemon.pidFiles ?? []) await rm(path, { force: true });
    const process = processes.launch(daemon);
    startedAt = performance.now();
    isMourned = false;
    await keep({ pid: process.pid, startTime: process.startTime, argv: [...daemon.argv], loaded });
    log(`${name} runs, as process ${process.pid}`);
    onChange(name);
  };

  /** Puts the wanted configuration in force. @returns the digest of the one that is, undefined for none. */
  const configure = async ({ config, beside = [], check }: Daemon): Promise<string | undefined> => {
    for (const file of beside) await writeIfOther(file);
    const before = await readFileIfPresent(config.path);
    const digest = digestOf(config.content);
    if (before === config.content) {
      refused = undefined;
      return digest;
    }
    const inForce = before === undefined ? undefined : digestOf(before);
    if (refused?.digest === digest && performance.now() - refused.at < checkAgainMs) return inForce;
    const candidate = `${config.path}.candidate`;
    await writeIfOther({ path: candidate, content: config.content });
    try {
      await run(check(candidate));
    } catch (error) {
      refused = { digest, at: performance.now() };
      const stays = before === undefined ? 'so it is not started' : 'the one before stays in force';
      tell(`${name} refuses its new configuration, ${stays}: ${messageOf(error)}`);
      return inForce;
    } finally {
      await rm(candidate, { force: true });
    }
    await writeFileAtomically(config.path, config.content);
    refused = undefined;
    return digest;
  };

  const reload = async ({ reload: how, ...daemon }: Daemon, record: RunRecord, loaded: string) => {
    if (how === 'restart') return start({ ...daemon, reload: how }, loaded);
    if (how === 'SIGHUP') send(record.pid, 'SIGHUP');
    else await run(how);
    await keep({ ...record, loaded });
    log(`${name} takes up its new configuration`);
    onChange(name);
  };

  const bringAbout = async (daemon: Daemon) => {
    const [program] = daemon.argv;
    if (Bun.which(program) === null) {
      const short = program.split('/').at(-1) ?? program;
      return tell(`${short} is not installed; install it: apt-get install ${packageOf[short] ?? short}`);
    }
    const digest = await configure(daemon);
    if (digest === undefined) return;
    if (running === undefined || !isRunning(running)) {
      if (performance.now() >= startedAt + pauseMs) await start(daemon, digest);
    } else if (running.argv.join('\0') !== daemon.argv.join('\0')) await start(daemon, digest);
    else if (running.loaded !== digest) await reload(daemon, running, digest);
    else if (performance.now() - startedAt > longLifeMs) pauseMs = 0;
    if (refused === undefined && !isTrouble(pauseMs)) tell(undefined);
  };

  const remove = async () => {
    if (isAlive()) log(`${name} is ended: it is not needed any more`);
    await end();
    await processes.removeFiles();
    if (running !== undefined) onChange(name);
    running = undefined;
    if (wanted === undefined) forget();
  };

  const work = async () => {
    if (isBusy || isStopped) return;
    isBusy = true;
    let done: Daemon | undefined;
    try {
      if (!hasLooked) {
        running = await processes.findAgain(wanted);
        hasLooked = true;
        if (isAlive()) log(`${name} still runs, as process ${running?.pid}`);
      }
      do {
        done = wanted;
        await (done === undefined ? remove() : bringAbout(done));
      } while (done !== wanted && !isStopped);
    } catch (error) {
      tell(`${name}: ${messageOf(error)}`);
    } finally {
      isBusy = false;
    }
  };

  const mourn = (record: RunRecord) => {
    isMourned = true;
    pauseMs = pauseAfter(performance.now() - startedAt, pauseMs);
    log(`${name}, process ${record.pid}, has ended; it is started again`);
    onChange(name);
    if (isTrouble(pauseMs))
      processes.lastWords().then((words) => tell(`${name} ends again and again; the last it said: ${words}`));
  };

  return {
    want(daemon: Daemon | undefined) {
      wanted = daemon;
      work();
    },
    /** `isDue`: also look at what gives no sign by itself. */
    look(isDue: boolean) {
      if (isBusy || !hasLooked) return;
      const isGone = running !== undefined && !isRunning(running);
      if (running !== undefined && isGone && !isMourned) mourn(running);
      if (isGone || isDue) work();
    },
    isWanted: () => wanted !== undefined,
    state: (): DaemonState => ({ pid: isAlive() ? running?.pid : undefined, problem }),
    trimLog: () => processes.trimLog().catch(() => undefined),
    stop() {
      isStopped = true;
    },
  };
}

async function writeIfOther({ path, content }: { path: string; content: string }): Promise<void> {
  if ((await readFileIfPresent(path)) === content) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFileAtomically(path, content);
}

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
