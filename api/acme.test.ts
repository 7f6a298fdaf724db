import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { factsOf } from './acme/keeper.ts';
import { makeCertificate, spkiHash } from './keys/tls.ts';
import { masterPaths } from './state/layout.ts';
import { newStateDir, removeStateDirs, run, serving } from './test-kit/processes.ts';

/** A certificate from a real ACME server: Debian's `pebble`, the one that Let's Encrypt tests clients with. */

const hasPebble = Bun.which('pebble') !== null;
const name = 'vpn.postern.example';
const programs: Bun.Subprocess[] = [];
let directory = '';
let authorityFile = '';
let httpPort = 0;

beforeAll(async () => {
  if (!hasPebble) return;
  const folder = newStateDir();
  const [acmePort, managementPort, dnsPort, freeHttpPort, controlPort] = await freePorts(5);
  httpPort = freeHttpPort ?? 0;
  authorityFile = join(folder, 'pebble.pem');
  await makeCertificate('127.0.0.1', { cert: authorityFile, key: join(folder, 'pebble.key') });
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${acmePort}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: authorityFile,
      privateKey: join(folder, 'pebble.key'),
      httpPort,
      tlsPort: httpPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
    },
  };
  writeFileSync(join(folder, 'pebble.json'), JSON.stringify(config));
  const dns = `127.0.0.1:${dnsPort}`;
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
  const names = [
    '-dns01',
    dns,
    '-management',
    `127.0.0.1:${controlPort}`,
    '-defaultIPv4',
    '127.0.0.1',
    '-defaultIPv6',
    '',
  ];
  programs.push(
    Bun.spawn(['pebble-challtestsrv', ...off, ...names], { stdout: 'ignore', stderr: 'ignore' }),
    Bun.spawn(['pebble', '-config', join(folder, 'pebble.json'), '-dnsserver', dns], {
      env: { ...process.env, PEBBLE_VA_NOSLEEP: '1' },
      stdout: 'ignore',
      stderr: 'ignore',
    }),
  );
  directory = `https://127.0.0.1:${acmePort}/dir`;
  await until(() =>
    fetch(directory, { tls: { rejectUnauthorized: false } }).then(
      (answer) => answer.ok,
      () => false,
    ),
  );
});

afterAll(() => {
  for (const program of programs) program.kill();
  removeStateDirs();
});

describe.skipIf(!hasPebble)(`a certificate from an authority${hasPebble ? '' : ' (needs pebble)'}`, () => {
  test('is ordered for the key in use and shown without a restart', async () => {
    const { stateDir } = await newMaster();
    const paths = masterPaths(stateDir);
    const master = await serving(stateDir);
    const before = await shownBy(master.url);
    expect(factsOf(before).names).not.toContain('vpn.elsewhere.example');
    expect(await enable(stateDir, directory)).toMatchObject({ status: 0 });
    await until(async () => (await shownBy(master.url)) !== before);
    const shown = await shownBy(master.url);
    expect(factsOf(shown)).toMatchObject({ names: [name], issuer: expect.stringContaining('Pebble') });
    expect(spkiHash(shown)).toBe(spkiHash(before));
    expect(readFileSync(paths.certificate, 'utf8').match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(1);
    const { log } = await master.stop();
    expect(log).toContain('a certificate was issued');
    expect(log).not.toContain('PRIVATE KEY');
  });

  test('that cannot be had leaves the one that is there, and says why', async () => {
    const { stateDir } = await newMaster();
    const master = await serving(stateDir);
    const before = await shownBy(master.url);
    expect((await enable(stateDir, directory.replace('/dir', '/nothing-here'))).status).toBe(0);
    await Bun.sleep(4_000);
    expect(await shownBy(master.url)).toBe(before);
    expect((await master.stop()).log).toContain('no certificate was issued; the one before stays');
  });
});

test('no authority is asked for an address', async () => {
  const { stateDir } = await newMaster('https://192.0.2.7:8443');
  const { status, stderr } = await enable(stateDir, 'https://127.0.0.1:1/dir');
  expect({ status, stderr: stderr.trim() }).toEqual({
    status: 1,
    stderr: 'postern-master: no authority certifies 192.0.2.7: the public URL has to have a public name',
  });
});

async function newMaster(publicUrl = `https://${name}:8443`): Promise<{ stateDir: string }> {
  const stateDir = newStateDir();
  const words = ['--pool', '10.91.64.0/18', '--owner', 'ana@example.com', '--public-url', publicUrl];
  expect((await run(['init', '--state-dir', stateDir, ...words])).status).toBe(0);
  return { stateDir };
}

const enable = (stateDir: string, url: string) =>
  run([
    ...['acme', 'enable', '--state-dir', stateDir, '--email', 'ana@example.com', '--agree-tos', '--directory', url],
    ...['--authority-file', authorityFile || '/dev/null', '--http', `127.0.0.1:${httpPort || 5002}`],
  ]);

function shownBy(url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), servername: name, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      resolve(certificate?.toString() ?? '');
    });
    socket.on('error', reject);
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it never came to be');
    await Bun.sleep(100);
  }
}
