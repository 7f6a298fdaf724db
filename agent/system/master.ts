import type { TLSSocket } from 'node:tls';
import * as v from 'valibot';
import { type NewMesh, NodeResource } from '#contract/admin.ts';
import {
  type AgentReport,
  CachedBundle,
  heldHeader,
  type RevisionNotice,
  renderHeld,
  type Witness,
} from '#contract/agent.ts';
import { type CertificateRequest, IssuedCertificate } from '#contract/certificate.ts';
import { TokenAnswer, TokenRequest } from '#contract/enrolment.ts';
import { Problem } from '#contract/problem.ts';
import type { Version } from '#contract/snapshot.ts';
import type { TrustList } from '#contract/trust.ts';
import { type Channel, openChannel } from './channel.ts';
import { type AgentKey, signAssertion } from './config.ts';
import { type Answer, type Ask, askOn, MasterUnreachable, openPinned } from './pinned.ts';

/** What the agent asks of the master. Every connection's certificate is looked at before a token goes over it. */
export interface Master {
  /**
   * Fetches the signed list of keys and holds the connection it came by against it. `keep` verifies it.
   * Nothing else can be asked before this has succeeded once.
   */
  fetchTrust(keep: (text: string) => Promise<TrustList>): Promise<TrustList>;
  /**
   * The signed snapshot with its entity tag, or undefined when it still is the one with this tag. `held` is the snapshot
   * that this node has, as it was signed: a master that was restored, or is behind, wants to see it first.
   */
  fetchSnapshot(
    etag: string | undefined,
    held: HeldSnapshot | undefined,
  ): Promise<{ text: string; etag: string | undefined } | undefined>;
  /** The bundles that are newer than a revision. */
  fetchBundles(after: number): Promise<readonly CachedBundle[]>;
  report(report: AgentReport): Promise<void>;
  /** This node as the master knows it. */
  self(): Promise<NodeResource>;
  /** Says by which key this node is known in the mesh. */
  joinMesh(mesh: NewMesh): Promise<void>;
  /** Has the authority for the internal domain vouch for the key of a request (PEM). */
  certify(csr: string): Promise<IssuedCertificate>;
  openChannel(onNotice: (notice: RevisionNotice) => void): Promise<Channel>;
  /** Ends every connection: whoever waits for an answer on one asks anew. */
  hangUp(): void;
  /** The master is somewhere else from now on. The same address changes nothing. */
  moveTo(address: string): void;
}

const Bundles = v.object({ items: v.array(CachedBundle) });

/** Its version, and how to get at its text, which is long and seldom wanted. */
export type HeldSnapshot = { version: Version; text: () => Promise<string | undefined> };

export type MasterOptions = { url: string; node: string; key: AgentKey; now: () => Date };

export function connectMaster({ url: address, node, key, now }: MasterOptions): Master {
  let url = new URL(address);
  let pins: ReadonlySet<string> = new Set();
  let token: { text: string; renewAt: number } | undefined;

  let idle: TLSSocket | undefined;
  const busy = new Set<TLSSocket>();

  const open = () => openPinned(url, (spki) => pins.has(spki));
  /** On the connection of the request before, if it is still there: a handshake takes as long as the rest. */
  const ask = async (request: Ask): Promise<Answer> => {
    const kept = idle;
    idle = undefined;
    const isKept = kept?.writable === true;
    const socket = isKept ? kept : await open();
    busy.add(socket);
    try {
      const answer = await askOn(socket, url, request);
      if (socket.writable && idle === undefined) idle = socket;
      else socket.destroy();
      return answer;
    } catch (error) {
      // The master may have closed it just now. All that we ask may be asked twice.
      if (isKept) return ask(request);
      throw error;
    } finally {
      busy.delete(socket);
    }
  };

  const freshToken = async (): Promise<string> => {
    if (token !== undefined && performance.now() < token.renewAt) return token.text;
    const assertion = await signAssertion(key, node, now());
    const body = JSON.stringify(v.parse(TokenRequest, { assertion }));
    const answer = await ask({
      method: 'POST',
      path: '/v1/agent/tokens',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const { token: text, expiresAt } = v.parse(TokenAnswer, JSON.parse(expectStatus(answer, [200], 'a token').body));
    const lifetimeMs = new Date(expiresAt).getTime() - now().getTime();
    // Our clock may differ from the master's; the monotonic one decides, and a refused token is replaced anyway.
    token = { text, renewAt: performance.now() + Math.max(30_000, Math.min(lifetimeMs, 600_000) - 60_000) };
    return text;
  };

  const askWithToken = async (request: Ask, isAgain = false): Promise<Answer> => {
    const authorization = `Bearer ${await freshToken()}`;
    const answer = await ask({ ...request, headers: { ...request.headers, authorization } });
    if (answer.status !== 401 || isAgain) return answer;
    token = undefined;
    return askWithToken(request, true);
  };

  const bearWitness = async (snapshot: string): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ snapshot } satisfies Witness);
    const answer = await askWithToken({ method: 'POST', path: '/v1/agent/witness', headers, body });
    expectStatus(answer, [204], 'to look at the snapshot that is held here');
  };

  return {
    async fetchTrust(keep) {
      let shown = '';
      const socket = await openPinned(url, (spki) => {
        shown = spki;
        return true;
      });
      const answer = await askOn(socket, url, {
        method: 'GET',
        path: '/v1/trust',
        headers: { connection: 'close' },
      });
      socket.destroy();
      const trust = await keep(expectStatus(answer, [200], 'the list of keys').body.trim());
      if (!trust.tls.includes(shown))
        throw new MasterUnreachable(
          `${url.origin} shows a certificate that the list of keys does not name; somebody may be in the middle`,
        );
      pins = new Set(trust.tls);
      idle?.destroy();
      return trust;
    },

    async fetchSnapshot(etag, held) {
      const headers: Record<string, string> = {
        [heldHeader]: renderHeld(held?.version),
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      };
      const request: Ask = { method: 'GET', path: '/v1/agent/snapshot', headers };
      let answer = await askWithToken(request);
      if (problemOf(answer)?.code === 'witness-wanted') {
        const snapshot = await held?.text();
        if (snapshot !== undefined) await bearWitness(snapshot);
        answer = await askWithToken(request);
      }
      if (expectStatus(answer, [200, 304], 'the snapshot').status === 304) return undefined;
      return { text: answer.body.trim(), etag: answer.headers.etag };
    },

    async fetchBundles(after) {
      const answer = await askWithToken({ method: 'GET', path: `/v1/agent/bundles?after=${after}` });
      return v.parse(Bundles, JSON.parse(expectStatus(answer, [200], 'the bundles').body)).items;
    },

    async report(report) {
      if (pins.size === 0) throw new MasterUnreachable('the master was not reached yet');
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify(report);
      expectStatus(
        await askWithToken({ method: 'POST', path: '/v1/agent/reports', headers, body }),
        [204],
        'the report',
      );
    },

    async self() {
      const answer = await askWithToken({ method: 'GET', path: '/v1/agent/node' });
      return v.parse(NodeResource, JSON.parse(expectStatus(answer, [200], 'what it knows of this node').body));
    },

    async joinMesh(mesh) {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify(mesh);
      const answer = await askWithToken({ method: 'PUT', path: '/v1/agent/mesh', headers, body });
      expectStatus(answer, [204], 'a place in the mesh');
    },

    async certify(csr) {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ csr } satisfies CertificateRequest);
      const answer = await askWithToken({ method: 'POST', path: '/v1/agent/certificate', headers, body });
      return v.parse(IssuedCertificate, JSON.parse(expectStatus(answer, [200], 'a certificate').body));
    },

    hangUp() {
      idle?.destroy();
      for (const socket of busy) socket.destroy();
    },

    moveTo(next) {
      if (new URL(next).href === url.href) return;
      url = new URL(next);
      pins = new Set();
      token = undefined;
      idle?.destroy();
      idle = undefined;
    },

    async openChannel(onNotice) {
      const text = await freshToken();
      try {
        return await openChannel(await open(), url, text, onNotice);
      } catch (error) {
        token = undefined;
        throw error;
      }
    },
  };
}

function expectStatus(answer: Answer, statuses: readonly number[], what: string): Answer {
  if (statuses.includes(answer.status)) return answer;
  throw new MasterUnreachable(`the master answered ${answer.status} when asked for ${what}${problemText(answer)}`);
}

function problemText(answer: Answer): string {
  const problem = problemOf(answer);
  if (problem === undefined) return '';
  return `: ${problem.title}${problem.detail === undefined ? '' : `. ${problem.detail}`}`;
}

function problemOf({ status, body }: Answer): Problem | undefined {
  if (status < 400) return undefined;
  try {
    return v.parse(Problem, JSON.parse(body));
  } catch {
    return undefined;
  }
}
