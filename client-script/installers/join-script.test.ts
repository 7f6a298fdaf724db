import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from '../fixture/authority.ts';
import { runProgram } from '../fixture/program.ts';

// The script itself and a real TLS server; the program that it fetches only says what it was called with.
const missing = ['wg', 'ip', 'wireguard-go', 'curl'].filter((program) => Bun.which(program) === null);
const why =
  process.getuid?.() !== 0
    ? 'needs root'
    : missing.length > 0
      ? `not installed here: ${missing.join(', ')}`
      : undefined;

const template = readFileSync(join(import.meta.dir, 'join.sh'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'postern-join-'));
afterAll(() => rmSync(folder, { recursive: true }));
const root = 'R'.repeat(43);
const clientThatEnds = (code: number) =>
  `console.log(process.env.POSTERN_CLIENT_VERSION, ...process.argv.slice(2)); process.exit(${code});\n`;

let server: Server | undefined;
afterEach(() => server?.close());

type Release = { client: string; served?: string };

/** Releases a client, runs its join.sh, and gives how that ended and what it left. */
async function run({ client, served = client }: Release, change: { script?: string; args?: string[] } = {}) {
  const { key, cert } = makeCertificate();
  const paths: string[] = [];
  server = createServer({ key, cert }, (request, response) => {
    paths.push(request.url ?? '');
    response.end(served);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const hash = createHash('sha256').update(client).digest('hex');
  const script = join(folder, 'join.sh');
  writeFileSync(script, change.script ?? template.replace('@CLIENT_SHA256@', hash).replace('@VERSION@', '1.2.3'));
  const prefix = mkdtempSync(join(folder, 'prefix-'));
  const ended = await runProgram(['sh', script, ...(change.args ?? [url, root])], { env: { POSTERN_PREFIX: prefix } });
  const left = readdirSync(prefix, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return { ...ended, url, prefix, paths, left: left.map(({ name }) => name).sort() };
}

describe.skipIf(why !== undefined)(`join.sh${why === undefined ? '' : ` (${why})`}`, () => {
  test('fetches the client, installs it and starts join with what the line pins', async () => {
    const { exitCode, stdout, url, prefix, paths, left } = await run({ client: clientThatEnds(0) });
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`1.2.3 join --master ${url} --root=${root}\n`);
    expect(paths).toEqual(['/client/postern-client.js']);
    expect(left).toEqual(['package.json', 'postern-client', 'postern-client.js']);
    const again = await runProgram([join(prefix, 'bin/postern-client'), 'status']);
    expect(again.stdout).toBe('1.2.3 status\n');
  });

  test('a client that was changed on its way is neither run nor kept', async () => {
    const { exitCode, stdout, stderr, left } = await run({ client: clientThatEnds(0), served: clientThatEnds(1) });
    expect(exitCode).toBe(5);
    expect(stdout).toBe('');
    expect(stderr).toContain('changed on its way');
    expect(left).toEqual([]);
  });

  test.each([
    ['trust failed', 5, []],
    ['the code was refused', 3, ['package.json', 'postern-client', 'postern-client.js']],
  ])('when %s the exit code %i is passed on', async (_, code, expected) => {
    const { exitCode, left } = await run({ client: clientThatEnds(code) });
    expect(exitCode).toBe(code);
    expect(left).toEqual(expected);
  });

  test('a script that was cut off on its way runs nothing', async () => {
    for (const share of [0.3, 0.6, 0.9, 0.99]) {
      const script = template.slice(0, Math.floor(template.length * share));
      const { paths, left } = await run({ client: clientThatEnds(0) }, { script });
      expect(paths).toEqual([]);
      expect(left).toEqual([]);
    }
  });

  test.each([
    ['no arguments', []],
    ['no root', ['https://vpn.example.com:8443']],
    ['another scheme', ['http://vpn.example.com:8443', root]],
  ])('with %s it says how it is used and does nothing', async (_, args) => {
    const { exitCode, paths, left } = await run({ client: clientThatEnds(0) }, { args });
    expect(exitCode).toBe(2);
    expect(paths).toEqual([]);
    expect(left).toEqual([]);
  });

  test('the template itself cannot be run', async () => {
    const { exitCode, stderr } = await run({ client: clientThatEnds(0) }, { script: template });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('template');
  });
});
