import type { AgentReport, Load } from '#contract/agent.ts';
import type { PassReport } from './reconcile.ts';

/**
 * Sends reports one after the other; of those that wait, only the newest is sent, with the drift of all. Nothing waits
 * for it: a node works the same with nobody listening.
 */
export interface Outbox {
  /** `distrust` is why the newest snapshot was not taken. Resolves when nothing waits any more. */
  send(pass: PassReport, distrust: string | undefined, load: Load | undefined): Promise<void>;
  /** Tells the last pass once more: the newest snapshot is refused, or no longer, or the master is back. */
  sendAgain(distrust: string | undefined): void;
}

const maxDrift = 100;

/** What a report says besides the pass, asked when it is sent: how the node stands, and what devices told. */
export type Besides = Pick<AgentReport, 'vrrp' | 'vip' | 'health' | 'outages'>;

/** `onDelivered`: the master has what stood besides the pass. */
export function createOutbox(
  post: (report: AgentReport) => Promise<void>,
  log: (line: string) => void,
  besides: () => Besides = () => ({}),
  onDelivered: (besides: Besides) => void = () => {},
): Outbox {
  let last: PassReport | undefined;
  let drift: readonly string[] = [];
  let waiting: AgentReport | undefined;
  let sending: Promise<void> | undefined;
  /** A master that is away for a day is one line in the log, not thousands. */
  let lastReason: string | undefined;

  const sendAll = async () => {
    while (waiting !== undefined) {
      const more = besides();
      const report: AgentReport = { ...waiting, drift: [...drift], ...more };
      waiting = undefined;
      const told = drift;
      try {
        await post(report);
        drift = drift.slice(told.length);
        onDelivered(more);
        lastReason = undefined;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== lastReason) log(`the report was not delivered: ${reason}`);
        lastReason = reason;
      }
    }
    sending = undefined;
  };
  const put = (pass: PassReport, distrust: string | undefined, load: Load | undefined) => {
    waiting = reportOf(pass, distrust, load);
    sending ??= sendAll();
    return sending;
  };

  return {
    send(pass, distrust, load) {
      last = pass;
      drift = [...drift, ...pass.drift].slice(-maxDrift);
      return put(pass, distrust, load);
    },
    sendAgain(distrust) {
      if (last !== undefined) put(last, distrust, undefined);
    },
  };
}

function reportOf(pass: PassReport, distrust: string | undefined, load: Load | undefined): AgentReport {
  const problem = [distrust, pass.problem].filter((text) => text !== undefined).join('; ');
  const peers = pass.wireguard?.peers.map(({ publicKey, latestHandshake, receivedBytes, sentBytes }) => ({
    publicKey,
    latestHandshake,
    receivedBytes,
    sentBytes,
  }));
  return {
    drift: [],
    ...(pass.applied === undefined ? {} : { applied: pass.applied }),
    ...(problem === '' ? {} : { problem: problem.slice(0, 1000) }),
    ...(peers === undefined ? {} : { peers }),
    ...(load === undefined ? {} : { load }),
  };
}
