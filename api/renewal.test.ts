import { afterAll, describe, expect, test } from 'bun:test';
import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { decodeProtectedHeader } from 'jose';
import { makeCertificate, spkiHash } from './keys/tls.ts';
import { loadCredentials } from './state/credentials.ts';
import { masterPaths } from './state/layout.ts';
import { type RenewOptions, renewKeys, replaceCertificate } from './state/renew.ts';
import { readTrustList } from './state/trust.ts';
import { newInstallation, newStateDir, removeStateDirs, run, serving, start } from './test-kit/processes.ts';

/** Keys and certificate are renewed while a real master runs. */

afterAll(removeStateDirs);

const uses = ['tokens', 'snapshots', 'bundles', 'releases'] as const;
const trustOf = (stateDir: string) => readTrustList(readFileSync(masterPaths(stateDir).trust, 'utf8').trim());
const renew = async (
  { stateDir, recoveryPassphrase }: { stateDir: string; recoveryPassphrase: string },
  options: Partial<RenewOptions> = {},
  now = new Date(),
) => {
  const all = { passphrase: recoveryPassphrase, uses, compromised: false, ...options };
  const renewed = await renewKeys(masterPaths(stateDir), all, now);
  if (!renewed.ok) throw new Error(renewed.reason);
  return renewed.list;
};
const kidOf = (keys: readonly { kid: string; use: string }[], use: string) => keys.find((key) => key.use === use)?.kid;

describe('a renewal', () => {
  test('puts new keys first; those before run out within the life of a code', async () => {
    const master = await newInstallation();
    const before = await trustOf(master.stateDir);
    const now = new Date();
    const list = await renew(master, {}, now);
    expect(list.version).toBe(before.version + 1);
    expect(list.keys).toHaveLength(8);
    const limit = now.getTime() + 32 * 86_400_000;
    for (const use of uses) {
      expect(kidOf(list.keys, use)).not.toBe(kidOf(before.keys, use));
      const retired = list.keys.find(({ kid }) => kid === kidOf(before.keys, use));
      expect(Date.parse(retired?.notAfter ?? '')).toBeLessThan(limit);
    }
    const { keys } = await loadCredentials(masterPaths(master.stateDir));
    expect(keys.tokens.kid).toBe(kidOf(list.keys, 'tokens') ?? '');
    expect(keys.tokens.retired?.map(({ kid }) => kid)).toEqual([kidOf(before.keys, 'tokens') ?? '']);
  });

  test('leaves nothing of keys that ran out or were stolen', async () => {
    const master = await newInstallation();
    await renew(master);
    const inTwoMonths = await renew(master, {}, new Date(Date.now() + 60 * 86_400_000));
    expect(inTwoMonths.keys).toHaveLength(8);
    const stolen = await renew(master, { compromised: true, tls: { make: '127.0.0.1' } });
    expect(stolen.keys).toHaveLength(4);
    expect(stolen.tls).toHaveLength(1);
    const { keys, tls } = masterPaths(master.stateDir);
    expect(readdirSync(keys).filter((name) => name.endsWith('.jwk.json'))).toHaveLength(3);
    expect(readdirSync(tls)).toHaveLength(2);
    await loadCredentials(masterPaths(master.stateDir));
  });

  test('of one use leaves the others', async () => {
    const master = await newInstallation();
    const before = await trustOf(master.stateDir);
    const list = await renew(master, { uses: ['bundles'] });
    for (const use of uses) expect(kidOf(list.keys, use) === kidOf(before.keys, use)).toBe(use !== 'bundles');
  });

  test('with a wrong passphrase changes nothing', async () => {
    const { stateDir } = await newInstallation();
    const before = readFileSync(masterPaths(stateDir).trust, 'utf8');
    const { status, stderr } = await run(['keys', 'renew', '--state-dir', stateDir], 'WRONG-WRONG\n');
    expect({ status, stderr: stderr.trim() }).toEqual({
      status: 1,
      stderr: 'postern-master: the passphrase does not open the root key; nothing was changed',
    });
    expect(readFileSync(masterPaths(stateDir).trust, 'utf8')).toBe(before);
  });

  test('that is killed at any moment leaves a master that starts, and can be done again', async () => {
    const master = await newInstallation();
    const arguments_ = ['keys', 'renew', '--state-dir', master.stateDir, '--tls'];
    const whole = performance.now();
    expect((await run(arguments_, master.recoveryPassphrase)).status).toBe(0);
    const milliseconds = performance.now() - whole;
    let killed = 0;
    for (let round = 0; round < 12; round++) {
      const child = start(arguments_);
      child.stdin.write(master.recoveryPassphrase);
      await child.stdin.end();
      await Bun.sleep(milliseconds * (0.3 + (0.7 * round) / 11));
      child.kill('SIGKILL');
      await child.exited;
      if (child.signalCode === 'SIGKILL') killed += 1;
      await loadCredentials(masterPaths(master.stateDir));
    }
    expect(killed).toBeGreaterThan(0);
    expect((await run(arguments_, master.recoveryPassphrase)).status).toBe(0);
    const { keys } = masterPaths(master.stateDir);
    expect(readdirSync(keys).filter((name) => name.endsWith('.new') || name.endsWith('.next'))).toEqual([]);
  });
});

describe('a running master', () => {
  test('signs with the new keys, and takes what the former ones signed', async () => {
    const master = await newInstallation();
    const process = await serving(master.stateDir);
    const user = await process.send('POST', '/v1/users', master.ownerToken, { email: 'b@example.com', role: 'admin' });
    const { body: issued } = await process.send('POST', `/v1/users/${user.body.id}/codes`, master.ownerToken, {});
    const list = await renew(master);
    await until(async () => (await process.send('GET', '/v1/trust')).body === signedTrust(master.stateDir));

    const enrolment = {
      code: issued.code,
      publicKey: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64'),
      credentialKey: (await signingKey()).x,
      deviceName: 'laptop',
      platform: 'linux',
    };
    const lease = await process.send('POST', '/v1/enrolments', undefined, enrolment);
    expect(lease.status).toBe(201);
    expect(decodeProtectedHeader(lease.body.bundle).kid).toBe(kidOf(list.keys, 'bundles') ?? '');
    expect(decodeProtectedHeader(lease.body.token).kid).toBe(kidOf(list.keys, 'tokens') ?? '');
    await process.stop();
  });

  test('takes no code that a stolen key backs', async () => {
    const master = await newInstallation();
    const process = await serving(master.stateDir);
    const user = await process.send('POST', '/v1/users', master.ownerToken, { email: 'b@example.com', role: 'admin' });
    const { body: issued } = await process.send('POST', `/v1/users/${user.body.id}/codes`, master.ownerToken, {});
    await renew(master, { compromised: true });
    await until(async () => (await process.send('GET', '/v1/trust')).body === signedTrust(master.stateDir));
    const enrolment = {
      code: issued.code,
      publicKey: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64'),
      credentialKey: (await signingKey()).x,
      deviceName: 'laptop',
      platform: 'linux',
    };
    expect(await process.send('POST', '/v1/enrolments', undefined, enrolment)).toMatchObject({
      status: 404,
      body: { code: 'code-unknown' },
    });
    await process.stop();
  });

  test('shows a new certificate without a restart, and answers all the time', async () => {
    const master = await newInstallation();
    const process = await serving(master.stateDir);
    const { hostname, port } = new URL(process.url);
    const before = await shownBy(hostname, Number(port));
    let failures = 0;
    let asked = 0;
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        asked += 1;
        // The former listener takes with it who was still waiting for it; asked again, there is an answer.
        const ask = () => process.send('GET', '/v1/trust');
        await ask()
          .catch(ask)
          .catch(() => {
            failures += 1;
          });
      }
    })();
    const list = await renew(master, { uses: [], tls: { make: '127.0.0.1' } });
    const shown = () => shownBy(hostname, Number(port)).catch(() => before);
    await until(async () => (await shown()) !== before);
    isOver = true;
    await asking;
    expect(list.tls).toContain(await shownBy(hostname, Number(port)));
    expect({ failures, asked: asked > 10 }).toEqual({ failures: 0, asked: true });
    expect((await process.stop()).log).toContain('keys or certificate were renewed');
  });

  test('keeps what it has when the files do not belong together, and says so', async () => {
    const master = await newInstallation();
    const paths = masterPaths(master.stateDir);
    const process = await serving(master.stateDir);
    const other = join(newStateDir(), 'other');
    await makeCertificate('127.0.0.1', { cert: `${other}.pem`, key: `${other}.key` });
    cpSync(`${other}.pem`, `${paths.certificate}.new`);
    renameSync(`${paths.certificate}.new`, paths.certificate);
    await Bun.sleep(3_000);
    expect((await process.send('GET', '/healthz')).status).toBe(200);
    const { log } = await process.stop();
    expect(log).toContain('renewed keys or certificate are not taken');
    expect(log).toContain('has a key that');
  });
});

test('a certificate for a listed key needs no passphrase, one for another key is refused', async () => {
  const { stateDir } = await newInstallation();
  const paths = masterPaths(stateDir);
  const { tls } = await loadCredentials(paths);
  writeFileSync(paths.certificate, '');
  expect(await replaceCertificate(paths, tls.cert)).toBe(true);
  expect((await loadCredentials(paths)).tls.cert).toBe(tls.cert);
  const other = join(newStateDir(), 'other');
  await makeCertificate('127.0.0.1', { cert: `${other}.pem`, key: `${other}.key` });
  expect(await replaceCertificate(paths, readFileSync(`${other}.pem`, 'utf8'))).toBe(false);
  expect((await loadCredentials(paths)).tls.cert).toBe(tls.cert);
});

const signedTrust = (stateDir: string) => readFileSync(masterPaths(stateDir).trust, 'utf8');

async function signingKey(): Promise<{ x: string }> {
  const { publicKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x = '' } = await crypto.subtle.exportKey('jwk', publicKey);
  return { x };
}

/** The hash of the public key in the certificate that is shown now. */
function shownBy(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      resolve(certificate === undefined ? '' : spkiHash(certificate.toString()));
    });
    socket.on('error', reject);
  });
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it never came to be');
    await Bun.sleep(100);
  }
}
