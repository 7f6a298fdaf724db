import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the real master as its own process, as an installation does. */

const program = join(import.meta.dir, '..', 'main.ts');
export const pool = '10.91.64.0/18';
export const initArguments = (stateDir: string) => [
  ...['init', '--state-dir', stateDir, '--pool', pool, '--owner', 'ana@example.com'],
  ...['--public-url', 'https://127.0.0.1:8443'],
];

const folders: string[] = [];

export function newStateDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-master-'));
  folders.push(folder);
  return folder;
}

export function start(argv: readonly string[], wrapped: readonly string[] = []) {
  return Bun.spawn([...wrapped, process.execPath, program, ...argv], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, NODE_ENV: 'production' },
  });
}

export async function run(argv: readonly string[], stdin = '') {
  const child = start(argv);
  child.stdin.write(stdin);
  await child.stdin.end();
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, status };
}

export type Initialised = { stateDir: string; ownerToken: string; recoveryPassphrase: string; rootThumbprint: string };

let template: Promise<Initialised> | undefined;

/** A new installation: a copy of one that init made, since making keys takes its time. */
export async function newInstallation(): Promise<Initialised> {
  template ??= initialised(newStateDir());
  const stateDir = newStateDir();
  cpSync((await template).stateDir, stateDir, { recursive: true });
  return { ...(await template), stateDir };
}

/** Removes every folder that was made here. */
export function removeStateDirs(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  template = undefined;
}

async function initialised(stateDir: string): Promise<Initialised> {
  const { stdout, stderr, status } = await run(initArguments(stateDir));
  if (status !== 0) throw new Error(stderr);
  return { stateDir, ...JSON.parse(stdout) };
}

export type ServingProcess = Awaited<ReturnType<typeof serving>>;

/** Resolves when the process says that it listens; its whole log can be read once it has ended. */
export async function serving(
  stateDir: string,
  listen = '127.0.0.1:0',
  child = start(serveArguments(stateDir, listen)),
) {
  const log: string[] = [];
  const listening = Promise.withResolvers<string>();
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      log.push(decoder.decode(chunk, { stream: true }));
      const url = /"url":"([^"]+)\/"/.exec(log.join(''))?.[1];
      if (url !== undefined) listening.resolve(url);
    }
    listening.reject(new Error(`the master ended: ${log.join('')}`));
  })();
  const url = await listening.promise;

  const send = async (method: string, path: string, token?: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { rejectUnauthorized: false },
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson && text !== '' ? JSON.parse(text) : text };
  };

  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    const status = await child.exited;
    await reading.catch(() => {});
    return { status, log: log.join('') };
  };

  return { url, send, end, pid: child.pid, stop: () => end('SIGTERM') };
}

export function serveArguments(stateDir: string, listen: string): string[] {
  return ['serve', '--state-dir', stateDir, '--listen', listen];
}
