import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type { Bundle } from '#contract/bundle.ts';
import { codeFromBytes } from '#contract/code.ts';
import { problem } from '#contract/problem.ts';
import { signedTypes } from '#contract/trust.ts';
import {
  type Authority,
  bundleWith,
  type Certificate,
  makeAuthority,
  makeCertificate,
  makeSigner,
  newId,
} from './fixture/authority.ts';
import { type MasterServer, type Reply, type Routes, serveMaster } from './fixture/master-server.ts';
import { buildClient, type Ended, runProgram, runtimes, temporaryFolder, trapFolder } from './fixture/program.ts';

/**
 * The client as a program, by each runtime, against a real TLS server. None of these gets as far as a tunnel: where
 * all went well before, the trap in place of ip(8) ends it with 6.
 */

const why = 'needs root and /dev/net/tun, which the client asks for first';
const canRun = process.getuid?.() === 0 && existsSync('/dev/net/tun');
const code = codeFromBytes(new Uint8Array(15).fill(7));
const bareCode = code.replaceAll('-', '');

const folder = temporaryFolder();
const trap = trapFolder(folder.path);
let client: string;
let certificate: Certificate;
let otherCertificate: Certificate;
let authority: Authority;
let trust: string;
beforeAll(async () => {
  client = buildClient(folder.path);
  [certificate, otherCertificate] = [makeCertificate(), makeCertificate()];
  authority = await makeAuthority([certificate.spki]);
  trust = await authority.trust();
});
const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});
afterAll(() => folder.remove());

type Deal = { routes?: Routes; bundle?: (bundle: Bundle) => Promise<string> | string; certificate?: Certificate };

/** A master that reserves an address for whoever asks, except for what a test changes. */
async function master({
  routes = {},
  bundle = authority.bundle,
  certificate: shown = certificate,
}: Deal = {}): Promise<MasterServer> {
  const server = await serveMaster(shown, {
    'GET /v1/trust': () => ({ status: 200, body: trust }),
    'POST /v1/enrolments': async ({ body }): Promise<Reply> => {
      const made = bundleWith({ deviceKey: body.publicKey ?? '' });
      const leasedUntil = new Date(Date.now() + 600_000).toISOString();
      return {
        status: 201,
        body: { id: newId(), address: made.address, leasedUntil, token: 't', bundle: await bundle(made) },
      };
    },
    ...routes,
  });
  open.push(server);
  return server;
}

let states = 0;
const newState = () => join(folder.path, `state-${states++}`);

type Run = {
  url: string;
  root?: string;
  state?: string;
  env?: Record<string, string>;
  input?: string;
  more?: string[];
};

/** What a person's shell runs. */
function joinLine(runtime: string, url: string): string {
  const options = ['--master', url, '--root', authority.root, '--state-dir', newState()];
  return `exec ${[runtime, client, 'join', ...options].join(' ')}`;
}

function joinWith(
  runtime: string,
  { url, root = authority.root, state = newState(), env, input = '', more = [] }: Run,
): Promise<Ended> {
  const PATH = `${trap.path}:${process.env.PATH}`;
  const argv = [runtime, client, 'join', '--json', '--master', url, '--root', root, '--state-dir', state, ...more];
  return runProgram(argv, { env: { PATH, ...(env ?? { POSTERN_CODE: code }) }, input });
}

/** What the client said to scripts, with its exit code. */
function outcome({ exitCode, stdout }: Ended): { exitCode: number; code: string } {
  return { exitCode, code: JSON.parse(stdout).code };
}

const enrolments = ({ received }: MasterServer) => received.filter(({ method }) => method === 'POST');
const nothingTouched = { exitCode: 6, code: 'interface-failed' };

describe.each(runtimes)('join under $name', ({ path: runtime }) => {
  describe.skipIf(!canRun)(`sends nothing to whom it does not trust (${why})`, () => {
    test('a master with another root', async () => {
      const server = await master();
      const ended = await joinWith(runtime, { url: server.url, root: (await makeSigner()).kid });
      expect(outcome(ended)).toEqual({ exitCode: 5, code: 'wrong-root' });
      expect(enrolments(server)).toEqual([]);
    });

    test('a proxy with a certificate of its own, which hands on the right trust list', async () => {
      const server = await master({ certificate: otherCertificate });
      const ended = await joinWith(runtime, { url: server.url });
      expect(outcome(ended)).toEqual({ exitCode: 5, code: 'wrong-certificate' });
      expect(server.received.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v1/trust']);
      expect(`${ended.stderr}${JSON.stringify(server.received)}`).not.toContain(bareCode);
    });

    test('a proxy that steps in after the first connection: it sees not one byte', async () => {
      const server = await master({ routes: { 'GET /v1/trust': () => ({ status: 200, body: trust, close: true }) } });
      const listener = recorder();
      const door = await twoFaced(Number(new URL(server.url).port), await listener.port);
      const ended = await joinWith(runtime, { url: `https://127.0.0.1:${door.port}` });
      expect(outcome(ended)).toEqual({ exitCode: 5, code: 'wrong-certificate' });
      expect(door.connections()).toBeGreaterThan(1);
      expect(listener.bytes()).toBe(0);
      expect(enrolments(server)).toEqual([]);
    });

    test('a web page where the master should be', async () => {
      const server = await master({ routes: { 'GET /v1/trust': () => ({ status: 200, body: '<h1>Hotel</h1>' }) } });
      expect(outcome(await joinWith(runtime, { url: server.url }))).toEqual({ exitCode: 5, code: 'trust-unreadable' });
    });
  });

  describe.skipIf(!canRun)(`installs no bundle that is not the master's for it (${why})`, () => {
    test.each([
      [
        'signed by somebody else',
        'key-unknown',
        async (bundle: Bundle) => (await makeSigner()).sign(signedTypes.bundle, bundle),
      ],
      [
        'with a signature that was tampered with',
        'signature-invalid',
        async (bundle: Bundle) => `${(await authority.bundle(bundle)).slice(0, -8)}AAAAAAAA`,
      ],
      [
        "of another device's key",
        'bundle-of-another',
        (bundle: Bundle) => authority.bundle({ ...bundle, deviceKey: bundle.nodes[0]?.publicKey ?? '' }),
      ],
      [
        'of another address than the answer names',
        'lease-differs',
        (bundle: Bundle) => authority.bundle({ ...bundle, address: '10.91.64.99' }),
      ],
    ])('one %s', async (_, reason, bundle) => {
      const server = await master({ bundle });
      const before = trap.calls();
      const state = newState();
      expect(outcome(await joinWith(runtime, { url: server.url, state }))).toEqual({ exitCode: 5, code: reason });
      expect(trap.calls()).toBe(before);
      expect(existsSync(state)).toBe(false);
    });
  });

  describe.skipIf(!canRun)(`says what the master refuses (${why})`, () => {
    test.each([
      ['code-used', 3],
      ['not-ready', 4],
    ] as const)('%s: exit code %d', async (reason, exitCode) => {
      const body = problem(reason);
      const server = await master({ routes: { 'POST /v1/enrolments': () => ({ status: body.status, body }) } });
      const ended = await joinWith(runtime, { url: server.url });
      expect(outcome(ended)).toEqual({ exitCode, code: reason });
      expect(ended.stderr).toContain(body.title);
      expect(ended.stderr).not.toContain(bareCode);
    });

    test('nobody there', async () => {
      const server = await master();
      server.close();
      expect(outcome(await joinWith(runtime, { url: server.url }))).toEqual({
        exitCode: 4,
        code: 'master-unreachable',
      });
    });
  });

  describe.skipIf(!canRun)(`resumes (${why})`, () => {
    test('a lost reply is asked for again with the same code and key', async () => {
      let lost = 0;
      const server = await master({
        routes: {
          'POST /v1/enrolments': async (received) => {
            if (lost++ === 0) return 'lost';
            const made = bundleWith({ deviceKey: received.body.publicKey ?? '' });
            const leasedUntil = new Date().toISOString();
            const bundle = await authority.bundle(made);
            return { status: 201, body: { id: newId(), address: made.address, leasedUntil, token: 't', bundle } };
          },
        },
      });
      expect(outcome(await joinWith(runtime, { url: server.url }))).toEqual(nothingTouched);
      const [first, second, ...more] = enrolments(server).map(({ body }) => body);
      expect(second).toEqual(first);
      expect(first?.code).toBe(bareCode);
      expect(more).toEqual([]);
    });

    test('a second run uses the same keys; all is 0600 in a 0700 directory', async () => {
      const server = await master();
      const state = newState();
      for (const _ of [1, 2])
        expect(outcome(await joinWith(runtime, { url: server.url, state }))).toEqual(nothingTouched);
      const [first, second] = enrolments(server).map(({ body }) => body);
      expect(second).toEqual(first);
      expect(statSync(state).mode & 0o777).toBe(0o700);
      const files = readdirSync(state);
      expect(files).toContain('wireguard.key');
      for (const file of files) expect([file, statSync(join(state, file)).mode & 0o777]).toEqual([file, 0o600]);
    });

    test('a damaged state file is said so and left as it is', async () => {
      const server = await master();
      const state = newState();
      await joinWith(runtime, { url: server.url, state });
      writeFileSync(join(state, 'wireguard.key'), 'half a k');
      const ended = await joinWith(runtime, { url: server.url, state });
      expect(outcome(ended)).toEqual({ exitCode: 1, code: 'state-corrupt' });
      expect(ended.stderr).toContain(join(state, 'wireguard.key'));
      expect(readFileSync(join(state, 'wireguard.key'), 'utf8')).toBe('half a k');
    });
  });

  describe.skipIf(!canRun)(`gets the code (${why})`, () => {
    const file = join(folder.path, 'code');
    writeFileSync(file, `${code}\n`);
    const empty = join(folder.path, 'empty');
    writeFileSync(empty, '\n');
    test.each([
      ['from standard input', ['--code-file', '-'], `${code}\n`, {}, nothingTouched],
      ['from a file', ['--code-file', file], '', {}, nothingTouched],
      ['from the environment', [], '', { POSTERN_CODE: code.toLowerCase() }, nothingTouched],
      ['not from a pipe that was not named', [], `${code}\n`, {}, { exitCode: 1, code: 'no-code' }],
      ['not from an empty pipe', ['--code-file', '-'], '', {}, { exitCode: 1, code: 'no-code' }],
      ['not from an empty file', ['--code-file', empty], '', {}, { exitCode: 1, code: 'no-code' }],
      ['not from a file that is missing', ['--code-file', '/nowhere'], '', {}, { exitCode: 1, code: 'no-code' }],
      [
        'not with a typing error',
        ['--code-file', '-'],
        `${code.slice(0, -1)}X`,
        {},
        { exitCode: 2, code: 'code-malformed' },
      ],
    ])('%s', async (_, more, input, env, expected) => {
      const server = await master();
      const ended = await joinWith(runtime, { url: server.url, more, input, env });
      expect(outcome(ended)).toEqual(expected);
      if (expected !== nothingTouched) expect(enrolments(server)).toEqual([]);
      else expect(enrolments(server)[0]?.body.code).toBe(bareCode);
    });

    test('from the terminal, also when standard input is something else, and asks again after a slip', async () => {
      const server = await master();
      const typed = `${code.slice(0, -1)}X\n\n${code}\n`;
      const ended = await onTerminal(`${joinLine(runtime, server.url)} </dev/null`, typed);
      expect(ended.stdout.match(/Code: /g)).toHaveLength(3);
      expect(ended.stdout).toContain('Please type it again');
      expect(enrolments(server)[0]?.body.code).toBe(bareCode);
    });

    test('not from a terminal that is closed', async () => {
      const server = await master();
      const ended = await onTerminal(joinLine(runtime, server.url), '\u0004');
      expect(ended.exitCode).toBe(1);
      expect(ended.stdout).toContain('closed before a code was typed');
      expect(enrolments(server)).toEqual([]);
    });
  });
});

test('the client is one file of at most 200 KB', () => expect(statSync(client).size).toBeLessThanOrEqual(200_000));

/** Runs a line on a terminal of its own and types each line of the text when the client asks for the code. */
async function onTerminal(line: string, typed: string): Promise<Ended> {
  const PATH = `${trap.path}:${process.env.PATH}`;
  const child = Bun.spawn(['script', '-qec', line, '/dev/null'], {
    env: { ...process.env, PATH },
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const lines = typed.split(/(?<=\n)/);
  let stdout = '';
  let asked = 0;
  for await (const part of child.stdout) {
    stdout += new TextDecoder().decode(part);
    for (; asked < (stdout.match(/Code: /g) ?? []).length; asked += 1) {
      child.stdin.write(lines[asked] ?? '');
      child.stdin.flush();
    }
  }
  return { exitCode: await child.exited, stdout, stderr: '' };
}

/** A TLS server with a certificate of its own, which counts what it is sent inside TLS. */
function recorder() {
  let bytes = 0;
  const server = createTlsServer({ key: otherCertificate.key, cert: otherCertificate.cert }, (socket) => {
    socket.on('data', (part) => {
      bytes += part.length;
    });
    socket.on('error', () => undefined);
  });
  open.push(server);
  const port = new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve(portOf(server))));
  return { port, bytes: () => bytes };
}

/** Leads the first connection to one port, and all later ones to another. */
async function twoFaced(first: number, later: number): Promise<{ port: number; connections(): number }> {
  let connections = 0;
  const server = createServer((socket) => {
    const isFirst = connections++ === 0;
    const inner = connect(isFirst ? first : later, '127.0.0.1');
    socket.on('error', () => inner.destroy()).on('close', () => inner.destroy());
    inner.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(inner);
    inner.pipe(socket);
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: portOf(server), connections: () => connections };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}
