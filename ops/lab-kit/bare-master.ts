import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { LabError } from './command.ts';
import { hostEnvironment, repository } from './paths.ts';

/**
 * A master beside the lab, on the machine's own loopback and disk: what is measured here is how it stores, and in a
 * host of the lab most folders are memory.
 */

/** Ends with the lab, however that ends. */
const program = ['setpriv', '--pdeathsig', 'KILL', process.execPath, join(repository, 'api/main.ts')];
const environment = { ...hostEnvironment(), NODE_ENV: 'production' };

export type State = { stateDir: string; ownerToken: string; rootThumbprint: string };

/** Makes a new installation in a folder that is not there yet. */
export async function makeState(stateDir: string, pool = '10.64.0.0/12'): Promise<State> {
  const child = Bun.spawn(
    [
      ...[...program, 'init', '--state-dir', stateDir, '--pool', pool],
      ...['--owner', 'ana@example.com', '--public-url', 'https://127.0.0.1:8443'],
    ],
    { env: environment, stdout: 'pipe', stderr: 'inherit' },
  );
  const said = await child.stdout.text();
  if ((await child.exited) !== 0) throw new LabError(`no state was made in ${stateDir}`);
  const { ownerToken, rootThumbprint } = JSON.parse(said);
  return { stateDir, ownerToken, rootThumbprint };
}

/** What `check` says of a state; a contradiction is one of its problems. */
export type Checked = {
  devices: number;
  codesSpent: number;
  enrolments: number;
  revocations: number;
  problems: readonly string[];
};

export async function checkState({ stateDir }: State): Promise<Checked> {
  const child = Bun.spawn([...program, 'check', '--state-dir', stateDir], {
    env: environment,
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [said, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if (said === '') throw new LabError(`the state cannot be checked: ${complaint}`);
  return JSON.parse(said);
}

export type Answer = { status: number; body: unknown };

export type BareMaster = Awaited<ReturnType<typeof startMaster>>;

/** Serves a state on a free port; resolves when it listens. */
export async function startMaster({ stateDir, ownerToken }: State, options: readonly string[] = []) {
  const child = Bun.spawn([...program, 'serve', '--state-dir', stateDir, '--listen', '127.0.0.1:0', ...options], {
    env: environment,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const url = await listening(child);

  const send = async (method: string, path: string, token?: string, body?: unknown): Promise<Answer> => {
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
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };

  /** As the owner. @throws LabError when it is refused. */
  const call = async <Wanted>(method: string, path: string, body?: unknown): Promise<Wanted> => {
    const answer = await send(method, path, ownerToken, body);
    if (answer.status >= 300) throw new LabError(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as Wanted;
  };

  return {
    url,
    ownerToken,
    pid: child.pid,
    send,
    call,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
      child.kill(signal);
      await child.exited;
    },
  };
}

/** Reads on after the address: a log that nobody reads stops its program. */
async function listening(child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>): Promise<string> {
  const found = Promise.withResolvers<string>();
  let said = '';
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      if (said.length > 10_000) continue;
      said += decoder.decode(chunk, { stream: true });
      const url = /"url":"([^"]+)\/"/.exec(said)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new LabError(`the master ended before it listened: ${said}`));
  })();
  return found.promise;
}

/** What a device sends to redeem its code, with keys of its own. */
export type Redemption = {
  code: string;
  publicKey: string;
  credentialKey: string;
  deviceName: string;
  platform: 'linux';
};

/** Codes for this many devices, each with the keys it will redeem its code with. */
export async function invite(master: BareMaster, userIds: readonly string[], count: number): Promise<Redemption[]> {
  const redemptions: Redemption[] = [];
  let next = 0;
  const issue = async () => {
    for (let i = next++; i < count; i = next++) {
      const { code } = await master.call<{ code: string }>(
        'POST',
        `/v1/users/${userIds[i % userIds.length]}/codes`,
        {},
      );
      redemptions.push({ code, ...deviceKeys(), deviceName: 'laptop', platform: 'linux' });
    }
  };
  await Promise.all(Array.from({ length: 16 }, issue));
  return redemptions;
}

export function deviceKeys(): { publicKey: string; credentialKey: string } {
  const wireguard = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  const credential = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  return {
    publicKey: Buffer.from(wireguard.x ?? '', 'base64url').toString('base64'),
    credentialKey: credential.x ?? '',
  };
}

/** @returns their ids. */
export async function addUsers(master: BareMaster, names: readonly string[]): Promise<string[]> {
  const add = (name: string) =>
    master.call<{ id: string }>('POST', '/v1/users', { email: `${name}@example.com`, role: 'developer' });
  return (await Promise.all(names.map(add))).map(({ id }) => id);
}
