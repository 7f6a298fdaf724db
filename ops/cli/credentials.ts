import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';

/** Where the master is, whose root key it has, and who is asking. */
export type Credentials = { url: URL; root: string; token: string };

/** What is needed to speak to the master is missing or not private. The message says what to do. */
export class CredentialProblem extends Error {
  override readonly name = 'CredentialProblem';
  readonly code = 'credentials';
}

export type CredentialOptions = { stateDir: string; url?: string; root?: string; tokenFile?: string };

const Config = v.object({ listen: v.string(), publicUrl: v.string() });
const Created = v.object({ rootThumbprint: v.string() });

/**
 * Options first, then POSTERN_URL, POSTERN_ROOT and POSTERN_TOKEN_FILE, then what `ops/up` left in the state directory.
 * The token comes from a file that only its owner may read, never from an option.
 *
 * @throws CredentialProblem
 */
export function readCredentials(
  options: CredentialOptions,
  environment: Record<string, string | undefined>,
): Credentials {
  const url = options.url ?? environment.POSTERN_URL ?? localUrl(options.stateDir);
  const root =
    options.root ?? environment.POSTERN_ROOT ?? readState(options.stateDir, 'init.json', Created).rootThumbprint;
  const tokenFile = options.tokenFile ?? environment.POSTERN_TOKEN_FILE ?? join(options.stateDir, 'owner.token');
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'https:')
    throw new CredentialProblem(`The master's URL must begin with https://, not be ${url}.`);
  return { url: parsed, root, token: readToken(tokenFile) };
}

function readToken(path: string): string {
  const token = readText(
    path,
    `There is no token in ${path}. Run ops/up here first, or name a file with --token-file.`,
  );
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new CredentialProblem(`${path} is readable by others. Make it private: chmod 600 ${path}`);
  }
  return token.trim();
}

/** On the master's own machine its listening address is used: the public one may not lead back here. */
function localUrl(stateDir: string): string {
  const { listen, publicUrl } = readState(stateDir, 'config.json', Config);
  const port = listen.slice(listen.lastIndexOf(':') + 1);
  const host = listen.slice(0, listen.lastIndexOf(':'));
  if (host === '0.0.0.0') return `https://127.0.0.1:${port}`;
  return host === '[::]' ? `https://[::1]:${port}` : publicUrl;
}

function readState<T>(stateDir: string, name: string, schema: v.GenericSchema<unknown, T>): T {
  const path = join(stateDir, name);
  const text = readText(
    path,
    `There is no ${path}. Run ops/up on this machine first, or say where the master is: --url, --root and --token-file.`,
  );
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  if (!result.success) throw new CredentialProblem(`${path} is damaged. Put back a backup.`);
  return result.output;
}

function readText(path: string, whenAbsent: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const refused = `${path} cannot be read. Run this as root, or as the user the file belongs to.`;
    throw new CredentialProblem(isAbsent ? whenAbsent : refused, { cause });
  }
}
