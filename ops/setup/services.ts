import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { type MasterPlace, programsOf, repository } from './programs.ts';
import { makePrivateFolder, type StatePaths, StateProblem } from './state.ts';
import { endProcess, runningSupervisor } from './supervision.ts';

/** What keeps the agent, and the master if one is here, running on this machine. */
export interface Services {
  readonly kind: 'systemd' | 'supervisor';
  /** Starts what is not running. @returns whether anything had to be started. */
  start(): Promise<boolean>;
  stop(): Promise<void>;
  /** Where a person finds what the programs said. */
  readonly logs: string;
}

/** systemd where it runs as the system's init; being installed is not enough. */
export function servicesFor(paths: StatePaths, master: MasterPlace | undefined): Services {
  return existsSync('/run/systemd/system') ? systemdServices(paths, master) : supervisedServices(paths, master);
}

const unitFolder = '/etc/systemd/system';
const units = ['postern-agent.service', 'postern-master.service'] as const;

/** The text of a unit file. Paths go in quoted: systemd splits at spaces and reads % as a specifier. */
export function renderUnit(template: string, stateDir: string, master: MasterPlace | undefined): string {
  const quoted = (argv: readonly string[]) => argv.map((word) => `"${escapeUnit(word)}"`).join(' ');
  const { agent = [], master: serving = [] } = programsOf(stateDir, master);
  return template
    .replaceAll('@AGENT@', quoted(agent))
    .replaceAll('@MASTER@', quoted(serving))
    .replaceAll('@STATE@', quoted([stateDir]))
    .replaceAll('@PRIVATETMP@', [repository, stateDir].some(isTemporary) ? 'no' : 'yes')
    .replaceAll('@REPOSITORY@', escapeUnit(repository));
}

/** A private /tmp would hide a clone or a state directory that lies in the real one. */
const isTemporary = (path: string) => /^\/(?:var\/)?tmp\//.test(path);

const escapeUnit = (word: string) => word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');

function systemdServices(paths: StatePaths, master: MasterPlace | undefined): Services {
  const wanted = master === undefined ? units.slice(0, 1) : units;
  return {
    kind: 'systemd',
    logs: `journalctl ${wanted.map((unit) => `-u ${unit.replace('.service', '')}`).join(' ')}`,
    async start() {
      let isChanged = false;
      for (const unit of wanted) {
        const text = renderUnit(readFileSync(join(import.meta.dir, 'systemd', unit), 'utf8'), paths.stateDir, master);
        const path = join(unitFolder, unit);
        if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
        writeFileSync(path, text, { mode: 0o644 });
        isChanged = true;
      }
      if (isChanged) await run(['systemctl', 'daemon-reload']);
      const states = await Promise.all(wanted.map((unit) => stateOf(unit)));
      const isRunning = states.every((state) => state === 'active');
      if (master !== undefined && states[1] !== 'active') requireFree(master.listen);
      await run(['systemctl', 'enable', '--now', ...wanted]);
      return isChanged || !isRunning;
    },
    async stop() {
      const present = units.filter((unit) => existsSync(join(unitFolder, unit)));
      if (present.length === 0) return;
      await run(['systemctl', 'disable', '--now', ...present]);
      for (const unit of present) rmSync(join(unitFolder, unit));
      await run(['systemctl', 'daemon-reload']);
    },
  };
}

/** @throws StateProblem when another program listens there. */
function requireFree(listen: string): void {
  const split = listen.lastIndexOf(':');
  const hostname = listen.slice(0, split).replace(/^\[|\]$/g, '');
  try {
    Bun.listen({ hostname, port: Number(listen.slice(split + 1)), socket: { data: () => undefined } }).stop();
  } catch (cause) {
    throw new StateProblem(
      `The API cannot listen on ${listen}: another program has that port, or the address is not of this machine. ` +
        'Free it, or choose another with --listen HOST:PORT.',
      { cause },
    );
  }
}

async function stateOf(unit: string): Promise<string> {
  return run(['systemctl', 'show', '--property=ActiveState', '--value', unit]).then((text) => text.trim());
}

function supervisedServices(paths: StatePaths, master: MasterPlace | undefined): Services {
  return {
    kind: 'supervisor',
    logs: master === undefined ? `${paths.logs}/agent.log` : `${paths.logs}/master.log and ${paths.logs}/agent.log`,
    async start() {
      if (runningSupervisor(paths) !== undefined) return false;
      if (master !== undefined) requireFree(master.listen);
      makePrivateFolder(paths.logs);
      const log = openSync(join(paths.logs, 'supervisor.log'), 'a', 0o600);
      const argv = [
        process.execPath,
        join(import.meta.dir, 'supervisor.ts'),
        paths.stateDir,
        ...(master === undefined ? [] : [master.listen, master.node]),
      ];
      Bun.spawn(['setsid', ...argv], { stdin: 'ignore', stdout: log, stderr: log, cwd: '/' }).unref();
      for (let tries = 0; tries < 100; tries++) {
        if (runningSupervisor(paths) !== undefined) return true;
        await Bun.sleep(50);
      }
      throw new StateProblem(`The supervisor did not start. See ${join(paths.logs, 'supervisor.log')}.`);
    },
    async stop() {
      const pid = runningSupervisor(paths);
      if (pid !== undefined && !(await endProcess(pid))) {
        throw new StateProblem(`The supervisor (pid ${pid}) does not end. See ${paths.logs}.`);
      }
    },
  };
}
