/**
 * Many agents that do nothing but listen: `bun channels.ts MASTER`, with LISTENERS `[{name, key}]` in its environment, each
 * key an Ed25519 JWK. Each opens the agents' channel and, at every word of it, fetches the snapshot.
 *
 * Asked for {revision}: waits until every one of them has it, and answers {told, held}: when each was told, and when each
 * had it, in ms since 1970. They ask for no certificate they could check: what is measured is the master.
 */
import { calculateJwkThumbprint, importJWK, type JWK, SignJWT } from 'jose';
import * as v from 'valibot';
import { heldHeader, RevisionNotice } from '#contract/agent.ts';
import { TokenAnswer } from '#contract/enrolment.ts';
import { signedTypes } from '#contract/trust.ts';
import { answerAll } from './answering.ts';

type Listener = { name: string; key: JWK };

const [master = ''] = process.argv.slice(2);
const listeners: Listener[] = JSON.parse(process.env.LISTENERS ?? '[]');
const tls = { rejectUnauthorized: false };
const now = () => performance.timeOrigin + performance.now();
const waitLimitMs = 30_000;

/** By name, then by revision: when it was told of that or a newer one, and when it had it. */
const told = new Map<string, Map<number, number>>();
const held = new Map<string, Map<number, number>>();

async function tokenOf({ name, key }: Listener): Promise<string> {
  const assertion = await new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', typ: signedTypes.agentAssertion, kid: await calculateJwkThumbprint(key) })
    .setIssuer(name)
    .setAudience('postern-master')
    .setIssuedAt()
    .setExpirationTime('60s')
    .setJti(crypto.randomUUID())
    .sign(await importJWK(key, 'EdDSA'));
  const response = await fetch(`${master}/v1/agent/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ assertion }),
    tls,
  });
  return v.parse(TokenAnswer, await response.json()).token;
}

async function listen(listener: Listener): Promise<void> {
  const { name } = listener;
  const authorization = `Bearer ${await tokenOf(listener)}`;
  const [toldOf, heldOf] = [new Map<number, number>(), new Map<number, number>()];
  told.set(name, toldOf);
  held.set(name, heldOf);
  let etag = '';
  let version = '0-0';
  const renew = async () => {
    const headers = { authorization, [heldHeader]: version, 'if-none-match': etag };
    const response = await fetch(`${master}/v1/agent/snapshot`, { headers, tls });
    if (response.status !== 200) return;
    const text = await response.text();
    etag = response.headers.get('etag') ?? '';
    const at = now();
    const { epoch, revision } = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString());
    version = `${epoch}-${revision}`;
    heldOf.set(revision, at);
  };
  const socket = new WebSocket(`${master.replace('https', 'wss')}/v1/agent/channel`, {
    headers: { authorization },
    tls,
  });
  const opened = Promise.withResolvers<void>();
  socket.addEventListener('message', ({ data }) => {
    const { revision } = v.parse(RevisionNotice, JSON.parse(String(data)));
    if (!toldOf.has(revision)) toldOf.set(revision, now());
    void renew().then(() => opened.resolve());
  });
  socket.addEventListener('close', ({ code, reason }) => {
    console.error(`${name}: the channel was closed: ${code} ${reason}`);
    process.exit(1);
  });
  await opened.promise;
}

/** When each came to that revision or one after it. */
function moments(of: ReadonlyMap<string, ReadonlyMap<number, number>>, wanted: number): number[] {
  return [...of.values()].flatMap((revisions) => {
    const at = [...revisions].filter(([revision]) => revision >= wanted).map(([, moment]) => moment);
    return at.length === 0 ? [] : [Math.min(...at)];
  });
}

for (const listener of listeners) await listen(listener);
await answerAll(async ({ revision }: { revision: number }) => {
  const deadline = performance.now() + waitLimitMs;
  while (moments(held, revision).length < listeners.length && performance.now() < deadline) await Bun.sleep(5);
  return { told: moments(told, revision), held: moments(held, revision) };
});
process.exit(0);
