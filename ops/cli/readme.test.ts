import { afterAll, beforeAll, expect, test } from 'bun:test';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The commands of the README on policies, typed at a master like the one that it tells of: they answer as they do there. */

const repository = resolve(import.meta.dir, '../..');
const masterProgram = (...words: string[]) => [process.execPath, join(repository, 'api/main.ts'), ...words];
const stateDir = mkdtempSync(join(tmpdir(), 'postern-readme-'));
let master: Bun.Subprocess | undefined;

async function postern(...words: string[]): Promise<{ stdout: string; exitCode: number }> {
  const argv = [process.execPath, join(repository, 'ops/cli/main.ts'), '--state-dir', stateDir, ...words];
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', cwd: repository });
  return { stdout: await child.stdout.text(), exitCode: await child.exited };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}

beforeAll(async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const publicUrl = `https://${listen}`;
  const first = ['--pool', '10.91.64.0/18', '--owner', 'owner@localhost', '--public-url', publicUrl];
  const init = Bun.spawn(masterProgram('init', '--state-dir', stateDir, ...first), { stdout: 'pipe' });
  const { ownerToken, rootThumbprint } = JSON.parse(await init.stdout.text());
  writeFileSync(join(stateDir, 'owner.token'), ownerToken, { mode: 0o600 });
  writeFileSync(join(stateDir, 'init.json'), JSON.stringify({ rootThumbprint }));
  writeFileSync(join(stateDir, 'config.json'), JSON.stringify({ listen, publicUrl }));
  const serve = masterProgram('serve', '--state-dir', stateDir, '--listen', listen);
  master = Bun.spawn(serve, { stdout: 'ignore', stderr: 'ignore' });
  const node = {
    name: 'n1',
    publicKey: randomBytes(32).toString('base64'),
    agentKey: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x,
    endpoints: ['198.51.100.7:51820'],
  };
  const headers = { authorization: `Bearer ${ownerToken}`, 'content-type': 'application/json' };
  const register = () =>
    fetch(`${publicUrl}/v1/nodes`, {
      method: 'POST',
      headers,
      body: JSON.stringify(node),
      tls: { rejectUnauthorized: false },
    }).then(
      ({ status }) => status === 201,
      () => false,
    );
  for (let tries = 0; tries < 200 && !(await register()); tries++) await Bun.sleep(50);
});

afterAll(async () => {
  master?.kill();
  await master?.exited;
  rmSync(stateDir, { recursive: true });
});

test('what the README says that postern answers, it answers', async () => {
  const page = readFileSync(join(repository, 'README.md'), 'utf8');
  const blocks = [...page.matchAll(/```console\n(\$ postern policy .*?)```/gs)].map(([, text = '']) => text);
  const [before = [], after = []] = blocks.map((block) =>
    block
      .split(/^\$ postern /m)
      .filter(Boolean)
      .map((part) => {
        const [words = '', ...answer] = part.split('\n');
        return { words: words.split(' '), answer: answer.join('\n') };
      }),
  );
  expect([before.length, after.length]).toEqual([2, 2]);
  for (const { words, answer } of before) expect((await postern(...words)).stdout).toBe(answer);
  expect((await postern('policy', 'apply', 'policies/examples/company.policy', '--yes')).exitCode).toBe(0);
  await postern('user', 'add', 'ben@example.com', '--role', 'developer');
  for (const { words, answer } of after) expect((await postern(...words)).stdout).toBe(answer);
}, 60_000);
