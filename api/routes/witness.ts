import { Elysia } from 'elysia';
import { heldHeader, parseHeld, Witness } from '#contract/agent.ts';
import { MasterStatus } from '#contract/life.ts';
import { compareVersions, type Snapshot } from '#contract/snapshot.ts';
import { beforeSnapshot } from '../decisions/witness.ts';
import { Refusal } from '../http/refusal.ts';
import { readShownSnapshot } from '../keys/shown-snapshot.ts';
import type { Master } from '../master.ts';
import { isNews, isPolicyTouched, takeOver } from '../store/aftermath.ts';
import { masterStatus, recordWitness, standing, supersede } from '../store/lives.ts';
import { policyInForce } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { currentVersion } from '../store/settings.ts';
import { adminArea, agentArea, readCallersJson } from './areas.ts';
import { noContent, operation } from './documentation.ts';

/** A snapshot of 10,000 devices has 5 MB. */
const witnessLimit = 8 * 1024 * 1024;

/** Before a node gets a snapshot: does it hold one that tells this master something? @throws Refusal */
export function heedHeld({ store, now }: Master, node: string, request: Request): void {
  const held = parseHeld(request.headers.get(heldHeader));
  const stand = standing(store);
  const next = beforeSnapshot(stand, node, held, now());
  if (next === 'show')
    throw new Refusal('witness-wanted', 'POST it to /v1/agent/witness, then ask for the newest again.');
  if (held !== undefined && stand.life !== undefined && !stand.shown.has(node)) recordWitness(store, node, held);
  if (next === 'wait')
    throw new Refusal('not-ready', 'A new life of the database has begun; the other nodes are heard first.');
}

export function witnessRoute(master: Master) {
  const { store, keys, trust, fleet, published, log, now } = master;
  return new Elysia().use(agentArea(master)).post(
    '/v1/agent/witness',
    async ({ body, node, set }) => {
      set.status = 204;
      const snapshot = await readShownSnapshot(body.snapshot, keys.snapshots, trust.jws);
      if (snapshot === undefined) {
        // Not asked for again: whoever signed it, no master of these keys did.
        recordWitness(store, node.name, { epoch: Number.MAX_SAFE_INTEGER, revision: 0 });
        log.error({ node: node.name }, 'a node shows a snapshot that no key of this master signed');
        return;
      }
      const { epoch, revision } = snapshot;
      if (compareVersions(snapshot, currentVersion(store)) > 0) {
        supersede(store, snapshot, node.name, now());
        log.error({ node: node.name, epoch, revision }, 'a node has seen a newer master: this one stands still');
        fleet.closeAll();
        return;
      }
      const hasPolicy = await takeOverPolicy(master, snapshot, node.name);
      const found = takeOver(store, snapshot, node.name, now(), hasPolicy);
      recordWitness(store, node.name, snapshot);
      await store.settled();
      if (found === undefined) return;
      published.forgetAll();
      for (const name of found.removedNodes) fleet.expel(name);
      log.error(
        { node: node.name, epoch, revision, found },
        'changes after the copy are lost, see: postern master status',
      );
    },
    {
      parse: readCallersJson(master, witnessLimit),
      body: Witness,
      detail: operation('bearWitness', 'Show the newest snapshot that the node holds, when the master wants it', {
        tag: 'Agents',
        bearer: 'agentToken',
        answer: noContent,
      }),
    },
  );
}

/** First of all: roles and nodes are judged by it. @returns whether the snapshot's document is in force because of this. */
async function takeOverPolicy(master: Master, snapshot: Snapshot, node: string): Promise<boolean> {
  const { store, desk, log, now } = master;
  const { epoch, revision } = snapshot;
  const { document } = snapshot.policy;
  try {
    return await desk.exclusively(async () => {
      if (!isNews(store, snapshot) || policyInForce(store).document === document || isPolicyTouched(store))
        return false;
      const { prepared } = await desk.prepare(document);
      const note = `as the node ${node} held it in ${epoch}-${revision}`;
      putInForce(store, prepared, { actor: `node ${node}`, act: 'policy.take-over', note }, now());
      return true;
    });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    log.error({ node, epoch, revision, code: error.code }, 'the later policy does not fit the restored roster');
    return false;
  }
}

export function statusRoute(master: Master) {
  return new Elysia().use(adminArea(master)).get('/v1/master', () => masterStatus(master.store), {
    response: { 200: MasterStatus },
    detail: operation('getMaster', 'How the master stands: its epoch, and what a restore or a promotion left behind', {
      tag: 'Master',
      bearer: 'userToken',
    }),
  });
}
