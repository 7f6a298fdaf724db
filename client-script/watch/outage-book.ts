import { request } from 'node:http';
import type { Ipv4 } from '#contract/network.ts';
import type { Outage } from '#contract/outage.ts';
import { agentPort } from '#contract/probe.ts';
import type { OutageRecord, StateFiles } from '../state-files.ts';

const most = 100;
const limitMs = 5_000;
/** A node that did not take them is asked again after this. */
const patienceMs = 30_000;

/** What this device saw of failing nodes: kept on the disk, and told to a node until one has taken it. */
export class OutageBook {
  private readonly files: StateFiles;
  private record: OutageRecord;
  private refusedAt = Number.NEGATIVE_INFINITY;

  private constructor(files: StateFiles, record: OutageRecord) {
    this.files = files;
    this.record = record;
  }

  static async open(files: StateFiles): Promise<OutageBook> {
    return new OutageBook(files, await files.outages());
  }

  async add(outage: Outage): Promise<void> {
    const outages = [...this.record.outages, outage].slice(-most);
    this.record = { outages, untold: Math.min(this.record.untold + 1, most) };
    await this.files.saveOutages(this.record);
  }

  /** @throws when the node does not take them; they are told again later. */
  async tell(to: { tunnelAddress: Ipv4; from: Ipv4 }, now: number, signal: AbortSignal): Promise<void> {
    const { untold, outages } = this.record;
    if (untold === 0 || now - this.refusedAt < patienceMs) return;
    this.refusedAt = now;
    await postOutages(to, outages.slice(-untold), signal);
    this.refusedAt = Number.NEGATIVE_INFINITY;
    this.record = { ...this.record, untold: this.record.untold - untold };
    await this.files.saveOutages(this.record);
  }
}

function postOutages(
  { tunnelAddress, from }: { tunnelAddress: Ipv4; from: Ipv4 },
  outages: readonly Outage[],
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify({ outages });
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ host: tunnelAddress, port: agentPort, localAddress: from, method: 'POST', path: '/v1/outages' },
      ...{ agent: false, timeout: limitMs, signal },
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${limitMs / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      response.resume();
      if (response.statusCode === 204) resolve();
      else reject(new Error(`it answered ${response.statusCode}`));
    });
    outgoing.end(body);
  });
}
