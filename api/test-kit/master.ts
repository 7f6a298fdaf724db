import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import type { IssuedCode, NodeResource, Permission, User } from '#contract/admin.ts';
import type { EnrolmentLease, EnrolmentResult, TokenAnswer } from '#contract/enrolment.ts';
import { TrustList } from '#contract/trust.ts';
import { applicationOf } from '../app.ts';
import { firstDocument } from '../decisions/first-document.ts';
import { defaultLimits, type LimitSettings } from '../http/limits.ts';
import { type Authority, authorityIn } from '../keys/authority.ts';
import { secretBoxOf } from '../keys/secret-box.ts';
import { signTrustList } from '../keys/signed.ts';
import { makeKey, useKey, type WorkingKeyPair } from '../keys/working-keys.ts';
import { assemble } from '../master.ts';
import { type Workshop, workshopOf } from '../policy/workshop.ts';
import type { Releases } from '../state/release.ts';
import { addApiToken } from '../store/api-tokens.ts';
import { createStore } from '../store/open.ts';
import { createSettings } from '../store/settings.ts';
import { addUser } from '../store/users.ts';
import { type Sender, senderOf } from '../webhooks/send.ts';
import { assertion, type Credential, credential, wireguardKey } from './keys.ts';

/** Keys in a folder that is made when one is. */
const lazyAuthority: Authority = (() => {
  let made: Authority | undefined;
  const here = () => {
    if (made === undefined) {
      const folder = mkdtempSync(join(tmpdir(), 'postern-authority-'));
      process.once('exit', () => rmSync(folder, { recursive: true }));
      made = authorityIn(folder);
    }
    return made;
  };
  return { make: (...words) => here().make(...words), certify: (...words) => here().certify(...words) };
})();

export type TestMaster = Awaited<ReturnType<typeof testMaster>>;

export const start = new Date('2026-12-01T08:00:00.000Z');

/** Starting a thread takes its time, and the masters of tests ask one after the other. */
const sharedWorkshop = workshopOf();

/** A master without a socket: real migrations on a database in memory, and a clock that moves when told. */
export async function testMaster(
  options: {
    pool?: string;
    limits?: Partial<LimitSettings>;
    convergenceMilliseconds?: number;
    workshop?: Workshop;
    sender?: Partial<Sender>;
  } = {},
) {
  const clock = { now: start };
  const now = () => clock.now;
  const store = createStore(':memory:');
  const notAfter = new Date('2036-01-01T00:00:00.000Z');
  const keys = {
    tokens: await useKey(await makeKey(notAfter)),
    snapshots: await useKey(await makeKey(notAfter)),
    bundles: await useKey(await makeKey(notAfter)),
  };
  const certificate = { notBefore: start, notAfter };
  const sender = { ...senderOf({ mayReceive: () => false, authorities: [] }), ...options.sender };
  const logged: unknown[] = [];
  const files = new Map<string, Uint8Array>();
  const releases: Releases = { read: (name) => files.get(name) };
  const caller = { address: '198.51.100.7' };
  const owner = store.write(() => {
    createSettings(
      store,
      { pool: options.pool ?? '10.91.64.0/18', publicUrl: 'https://vpn.example.com:8443', document: firstDocument },
      start,
    );
    const added = addUser(store, { email: 'ana@example.com', role: 'admin', permission: 'owner' }, 'setup', start);
    if (!added.ok) throw new Error(added.reason);
    return added.value;
  });
  const ownerToken = addApiToken(store, owner.id, start);
  store.flush();
  const master = assemble({
    store,
    keys,
    trust: { jws: await trustOf(keys, notAfter), rootThumbprint: 'R'.repeat(43) },
    certificate: () => certificate,
    authority: lazyAuthority,
    releases,
    webhooks: { box: secretBoxOf(new Uint8Array(32)), sender },
    limits: { ...defaultLimits, slowDownMilliseconds: 0, ...options.limits },
    workshop: options.workshop ?? sharedWorkshop,
    convergenceMilliseconds: options.convergenceMilliseconds ?? 0,
    now,
    log: { error: (...line) => void logged.push(line) },
    addressOf: () => caller.address,
    openChannel: () => false,
  });
  const application = applicationOf(master);

  const fetch = (path: string, init: RequestInit = {}) =>
    application.handle(new Request(`http://localhost${path}`, init));

  /** One request with a JSON body, if any, and a token, if any. */
  const send = async (method: string, path: string, token?: string, body?: unknown) => {
    const response = await fetch(path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      body: isJson && text !== '' ? JSON.parse(text) : text,
      headers: response.headers,
    };
  };

  const ask = async <T>(expected: number, ...request: Parameters<typeof send>): Promise<T> => {
    const answer = await send(...request);
    if (answer.status !== expected)
      throw new Error(`${request[0]} ${request[1]}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };

  const addPerson = (email: string, permission: Permission = 'none', role = 'developer') =>
    ask<User>(201, 'POST', '/v1/users', ownerToken, { email, role, permission });

  const addMachine = async (name: string) => {
    const key = await credential();
    const publicKey = wireguardKey();
    const node = await ask<NodeResource>(201, 'POST', '/v1/nodes', ownerToken, {
      name,
      publicKey,
      agentKey: key.x,
      endpoints: ['198.51.100.1:51820'],
    });
    return { node, key, publicKey };
  };

  const tokenFor = async (kind: 'agent' | 'device', sender: string, key: Credential) => {
    const signed = await assertion(kind, sender, key, clock.now);
    return (await ask<TokenAnswer>(200, 'POST', `/v1/${kind}/tokens`, undefined, { assertion: signed })).token;
  };

  const newDevice = async (name = 'laptop') => {
    const key = await credential();
    return { key, request: { publicKey: wireguardKey(), credentialKey: key.x, deviceName: name, platform: 'linux' } };
  };

  const issue = (userId: string, ttl?: number) =>
    ask<IssuedCode>(201, 'POST', `/v1/users/${userId}/codes`, ownerToken, ttl === undefined ? {} : { ttl });

  /** A user with one registered device. */
  const enrol = async (email: string, role = 'developer') => {
    const user = await addPerson(email, 'none', role);
    const { code } = await issue(user.id);
    const device = await newDevice();
    const lease = await ask<EnrolmentLease>(201, 'POST', '/v1/enrolments', undefined, { code, ...device.request });
    const result = await ask<EnrolmentResult>(200, 'PUT', `/v1/enrolments/${lease.id}`, lease.token, {
      publicKey: device.request.publicKey,
      address: lease.address,
    });
    return { user, code, device, lease, result };
  };

  return {
    master,
    application,
    store,
    keys,
    clock,
    caller,
    files,
    certificate,
    logged,
    owner,
    ownerToken,
    fetch,
    send,
    ask,
    addPerson,
    addMachine,
    tokenFor,
    newDevice,
    issue,
    enrol,
    wait: (seconds: number) => {
      clock.now = new Date(clock.now.getTime() + seconds * 1000);
    },
  };
}

/** The list of keys as an installation has it. */
async function trustOf(keys: Readonly<Record<string, WorkingKeyPair>>, notAfter: Date): Promise<string> {
  const all = { ...keys, releases: await useKey(await makeKey(notAfter)) };
  const listed = Object.entries(all).map(([use, { kid, x }]) => ({ use, kid, x, notAfter: notAfter.toISOString() }));
  const list = v.parse(TrustList, { version: 1, issuedAt: start.toISOString(), keys: listed, tls: ['T'.repeat(43)] });
  return signTrustList(list, await useKey(await makeKey(notAfter)));
}
