import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import type { Device, IssuedCode, User } from '#contract/admin.ts';
import type { EnrolmentLease, TokenAnswer } from '#contract/enrolment.ts';
import type { PageOf } from '#contract/lists.ts';
import type { Version } from '#contract/snapshot.ts';
import { assertion, credential, wireguardKey } from './test-kit/keys.ts';
import {
  type Initialised,
  newInstallation,
  removeStateDirs,
  type ServingProcess,
  serving,
} from './test-kit/processes.ts';

/** The recipes of ops/docs/rest-cookbook.md, run as they stand against the real program. */

setDefaultTimeout(60_000);

const page = readFileSync(join(import.meta.dir, '../ops/docs/rest-cookbook.md'), 'utf8');

/** The blocks under a heading, in order. */
const recipes = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string[]] => [
      section.split('\n', 1)[0] ?? '',
      [...section.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block),
    ]),
);
const tried = new Set<string>();

let made: Initialised;
let master: ServingProcess;
let folder: string;
let pin: string;
let agentToken: string;
let agentReports: Timer | undefined;

const own = async <T>(method: string, path: string, body?: unknown): Promise<T> =>
  (await master.send(method, path, made.ownerToken, body)).body as T;

beforeAll(async () => {
  made = await newInstallation();
  master = await serving(made.stateDir);
  folder = mkdtempSync(join(tmpdir(), 'postern-cookbook-'));
  pin = await pinOf(made.stateDir);
  await actAsNode();
});

afterAll(async () => {
  clearInterval(agentReports);
  await master.end('SIGKILL');
  rmSync(folder, { recursive: true });
  removeStateDirs();
});

/** As the page says it is told on the master's machine. */
async function pinOf(stateDir: string): Promise<string> {
  const [, command = ''] = /^```sh\n([\s\S]*?)^```$/m.exec(page) ?? [];
  return (await bash(command.replaceAll('/var/lib/postern', stateDir))).trim();
}

/** A node that puts in force whatever there is. */
async function actAsNode(): Promise<void> {
  const key = await credential();
  await own('POST', '/v1/nodes', {
    name: 'n1',
    publicKey: wireguardKey(),
    agentKey: key.x,
    endpoints: ['198.51.100.1:51820'],
  });
  const signed = await assertion('agent', 'n1', key, new Date());
  const { body } = await master.send('POST', '/v1/agent/tokens', undefined, { assertion: signed });
  agentToken = (body as TokenAnswer).token;
  const report = async () =>
    master.send('POST', '/v1/agent/reports', agentToken, { applied: await version(), drift: [] });
  // The last one may find the master gone.
  agentReports = setInterval(() => void report().catch(() => {}), 100);
}

/** That of the snapshot which nodes get. */
async function version(): Promise<Version> {
  const { epoch, revision } = decodeJwt<Version>((await master.send('GET', '/v1/agent/snapshot', agentToken)).body);
  return { epoch, revision };
}

async function bash(script: string): Promise<string> {
  const file = join(folder, 'recipe.sh');
  writeFileSync(file, script);
  const child = Bun.spawn(['bash', '-euo', 'pipefail', file], {
    cwd: folder,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      ...(master === undefined ? {} : { POSTERN_URL: master.url }),
      POSTERN_TOKEN: made.ownerToken,
      POSTERN_PIN: pin ?? '',
    },
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  // What curl says of a refusal that the recipe takes care of.
  const complaints = stderr.replaceAll(/^curl: \(22\).*\n/gm, '');
  expect({ script, complaints, status }).toEqual({ script, complaints: '', status: 0 });
  return stdout;
}

/** Runs a block of a recipe, and returns what it printed. */
function cook(title: string, index = 0): Promise<string> {
  const block = recipes.get(title)?.[index];
  if (block === undefined) throw new Error(`the page has no block ${index} under "${title}"`);
  tried.add(`${title} ${index}`);
  return bash(block);
}

const written = (name: string) => readFileSync(join(folder, name), 'utf8');
const userOf = (email: string) => own<User>('GET', `/v1/users/by-email/${email}`);
const devicesOf = async (email: string) => (await own<PageOf<Device>>('GET', `/v1/devices?email=${email}`)).items;

/** What a client does with a code. */
async function enter(code: string, deviceName: string): Promise<string> {
  const publicKey = wireguardKey();
  const keys = { publicKey, credentialKey: (await credential()).x };
  const request = { code, ...keys, deviceName, platform: 'linux' };
  const { body } = await master.send('POST', '/v1/enrolments', undefined, request);
  const { id, token, address } = body as EnrolmentLease;
  expect((await master.send('PUT', `/v1/enrolments/${id}`, token, { publicKey, address })).status).toBe(200);
  return id;
}

async function letIn(email: string, deviceName: string): Promise<string> {
  const { id } = await own<User>('PUT', `/v1/users/by-email/${email}`, { role: 'developer' });
  return enter((await own<IssuedCode>('POST', `/v1/users/${id}/codes`, {})).code, deviceName);
}

test('the file with the token is for its owner alone, and no recipe has the token in it', async () => {
  await cook('Before the first one');
  expect(statSync(join(folder, 'postern.curl')).mode & 0o777).toBe(0o600);
  expect(page.split('POSTERN_TOKEN')).toHaveLength(3);
});

test('adding a person and making a code', async () => {
  const said = await cook('Add a person and make a code');
  const { code } = JSON.parse(written('ana.json')) as IssuedCode;
  expect(said).toContain(`the code: ${code}`);
  expect(await cook('Add a person and make a code')).toBe(said);
  const { id } = await userOf('ana@example.com');
  expect((await own<PageOf<unknown>>('GET', `/v1/users/${id}/codes`)).total).toBe(1);
});

test('keeping people as a list says, twice', async () => {
  const said = await cook('Keep people as a list says');
  expect(said).toBe('ana@example.com is admin\nben@example.com is developer\ncarl@example.com is developer\n');
  const before = await version();
  expect(await cook('Keep people as a list says')).toBe(said);
  expect(await version()).toEqual(before);
});

test('paging through all devices', async () => {
  for (const name of ['e', 'c', 'a', 'd', 'b']) await letIn('ben@example.com', `laptop ${name}`);
  const rows = (await cook('Page through all devices')).trimEnd().split('\n');
  expect(rows.map((row) => row.split('\t')[0])).toEqual(['laptop a', 'laptop b', 'laptop c', 'laptop d', 'laptop e']);
});

test('looking whether something has changed', async () => {
  expect(await cook('Look whether something has changed')).toBe('304\n');
});

test('disabling somebody who leaves', async () => {
  const said = await cook('Disable somebody who leaves, unless somebody else was quicker');
  expect(said).toBe('carl@example.com is disabled: true\n');
  expect((await userOf('carl@example.com')).disabled).toBe(true);
});

test('revoking a device', async () => {
  const [first] = await devicesOf('ben@example.com');
  const said = await cook('Revoke a device and wait until no node knows it');
  expect(said).toBe('in force everywhere; still to follow: none\n');
  expect((await devicesOf('ben@example.com')).map(({ id }) => id)).not.toContain(first?.id);
});

test('a runner of a CI', async () => {
  await cook('A runner of a CI as a machine', 0);
  expect(statSync(join(folder, 'runner.code')).mode & 0o777).toBe(0o600);
  const runner = await enter(written('runner.code').trim(), 'runner-7');
  const before = (await devicesOf('runners@example.com'))[0];
  expect(before).toMatchObject({ id: runner, kind: 'machine' });
  expect(await cook('A runner of a CI as a machine', 1)).toStartWith('runner-7 stays until ');
  const after = (await devicesOf('runners@example.com'))[0];
  const moved = Date.parse(after?.expiresAt ?? '') - Date.parse(before?.expiresAt ?? '');
  expect(moved).toBeGreaterThan(3_500_000);
});

test('a new laptop', async () => {
  const old = await letIn('dana@example.com', 'old laptop');
  const code = (await cook('Give somebody a new laptop', 0)).trim();
  const newer = await enter(code, 'new laptop');
  expect(JSON.parse(await cook('Give somebody a new laptop', 1))).toMatchObject({ appliedBy: ['n1'], pending: [] });
  expect((await devicesOf('dana@example.com')).map(({ id }) => id)).toEqual([newer]);
  expect(newer).not.toBe(old);
});

test("a script's token", async () => {
  const old = { name: 'provisioning', permission: 'operator', areas: ['users'], expiresIn: 60 };
  const { token, id } = await own<{ token: string; id: string }>('POST', '/v1/tokens', old);
  const title = 'Give a script a token of its own, and change it';
  const said = await cook(title);
  expect(said).toMatch(/^the new token sees \d+ users\n$/);
  expect((await master.send('GET', '/v1/users', token)).status).toBe(401);
  expect(statSync(join(folder, 'provisioning.curl')).mode & 0o777).toBe(0o600);
  const { items } = await own<PageOf<{ id: string; name: string }>>('GET', '/v1/tokens');
  const named = items.filter(({ name }) => name === 'provisioning').map((one) => one.id);
  expect([named.length, named.includes(id)]).toEqual([1, false]);
});

test('the audit log elsewhere', async () => {
  const said = (await cook('Keep the audit log elsewhere, and see that it is whole')).trimEnd().split('\n');
  expect(said.at(-1)).toBe('whole: the export and 0 rows since');
  expect(said.some((line) => line.includes('device.revoke') && line.includes('dana@example.com'))).toBe(true);
});

test('a refusal', async () => {
  expect(await cook('When the master refuses')).toBe('ben is there already\n');
});

describe('the page', () => {
  test('has no recipe that was not tried', () => {
    const all = [...recipes].flatMap(([title, blocks]) => blocks.map((_, index) => `${title} ${index}`));
    expect(all.length).toBeGreaterThan(9);
    expect(all.filter((block) => !tried.has(block))).toEqual([]);
  });
});
