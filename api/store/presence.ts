import type { Store } from './open.ts';
import { queueEvent } from './webhook-outbox.ts';

/** Of each node, whether webhooks were told last that its agent is connected. */
export function toldConnections({ db }: Store): { name: string; connected: boolean }[] {
  return db
    .query<{ name: string; told_connected: number }, []>('SELECT name, told_connected FROM nodes')
    .all()
    .map(({ name, told_connected: told }) => ({ name, connected: told === 1 }));
}

/** Tells webhooks that a node's agent has come or is gone. No act of anybody, so without an audit row. */
export function tellConnection(store: Store, name: string, connected: boolean, now: Date): void {
  store.write(() => {
    const row = store.db
      .query<{ seen_at: string | null }, [number, string]>(
        'UPDATE nodes SET told_connected = ? WHERE name = ? RETURNING seen_at',
      )
      .get(connected ? 1 : 0, name);
    if (row === null) return;
    const type = connected ? 'node.connected' : 'node.disconnected';
    queueEvent(store, { type, actor: 'master', subject: name, detail: { seenAt: row.seen_at } }, now);
  });
}
