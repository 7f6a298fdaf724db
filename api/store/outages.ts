import type { ReportedOutage } from '#contract/agent.ts';
import type { OutageList } from '#contract/lists.ts';
import type { RecordedOutage, SwitchCause } from '#contract/outage.ts';
import { failoverEvent } from '../decisions/failover-event.ts';
import { type Asked, equal, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';
import { queueEvent } from './webhook-outbox.ts';

/** Devices report what they like, so of each only the newest stay, and of all together no more than these. */
const mostOfDevice = 200;
const most = 100_000;

type Row = {
  number: number;
  at: string;
  device_id: string;
  device: string;
  from_node: string;
  to_node: string;
  cause: SwitchCause;
  gap_ms: number;
  reported_by: string;
};

const columns = 'number, at, device_id, device, from_node, to_node, cause, gap_ms, reported_by';

const toOutage = (row: Row): RecordedOutage => ({
  id: row.number,
  at: row.at,
  deviceId: row.device_id,
  device: row.device,
  from: row.from_node,
  to: row.to_node,
  cause: row.cause,
  gapMilliseconds: row.gap_ms,
  reportedBy: row.reported_by,
});

/**
 * Keeps what devices have felt, each outage once however often it is reported, and tells webhooks of what is new.
 *
 * @returns what is new.
 */
export function recordOutages(
  store: Store,
  node: string,
  reported: readonly ReportedOutage[],
  now: Date,
): RecordedOutage[] {
  if (reported.length === 0) return [];
  return store.write(() => {
    const { db } = store;
    const device = db.query<{ id: string; name: string }, [string]>(
      'SELECT id, name FROM devices WHERE public_key = ? AND registered_at IS NOT NULL',
    );
    const insert = db.query<Row, [Record<string, string | number>]>(
      `INSERT INTO outages (at, device_id, device, from_node, to_node, cause, gap_ms, reported_by)
       VALUES ($at, $id, $name, $from, $to, $cause, $gapMilliseconds, $node)
       ON CONFLICT (device_id, at) DO NOTHING RETURNING ${columns}`,
    );
    const added = reported.flatMap(({ publicKey, ...outage }) => {
      const known = device.get(publicKey);
      const row = known === null ? null : insert.get({ ...outage, ...known, node });
      return row === null ? [] : [toOutage(row)];
    });
    const prune = db.query<{ number: number }, [{ id: string }]>(
      `DELETE FROM outages WHERE device_id = $id AND number NOT IN
         (SELECT number FROM outages WHERE device_id = $id ORDER BY at DESC LIMIT ${mostOfDevice}) RETURNING number`,
    );
    const devices = [...new Set(added.map(({ deviceId }) => deviceId))];
    // An old one that was dropped before and is reported again is no news.
    const dropped = new Set(devices.flatMap((id) => prune.all({ id }).map(({ number }) => number)));
    const fresh = added.filter(({ id }) => !dropped.has(id));
    if (fresh.length === 0) return [];
    db.query(`DELETE FROM outages WHERE number <= (SELECT max(number) FROM outages) - ${most}`).run();
    queueEvent(store, failoverEvent(node, fresh), now);
    return fresh;
  });
}

export type OutageSort = NonNullable<OutageList['sort']>;
export type OutageFilters = Pick<OutageList, 'node' | 'deviceId' | 'cause' | 'since' | 'until'>;

export function pageOfOutages(
  store: Store,
  { node, deviceId, cause, since, until }: OutageFilters,
  asked: Asked<OutageSort>,
): Page<RecordedOutage> {
  const listing = {
    columns,
    table: 'outages',
    where: [
      node === undefined ? undefined : { sql: 'from_node = $node OR to_node = $node', with: { node } },
      equal('device_id', 'deviceId', deviceId),
      equal('cause', 'cause', cause),
      since === undefined ? undefined : { sql: 'at >= $since', with: { since } },
      until === undefined ? undefined : { sql: 'at < $until', with: { until } },
    ],
    orders: { id: 'number' },
    id: `''`,
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map(toOutage) };
}
