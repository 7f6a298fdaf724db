import * as v from 'valibot';
import { CodeState, DeviceKind, Permission } from './admin.ts';
import { Platform } from './enrolment.ts';
import { Count, Email, Id, Moment, Name } from './name.ts';
import { NodeCodeState } from './node-enrolment.ts';
import { SwitchCause } from './outage.ts';
import { Delivery } from './webhook.ts';

/** How lists are asked for, page by page, and answered. Parameters that a list does not know are refused. */

export const largestPage = 500;
export const usualPage = 100;

const limit = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^[1-9]\d{0,2}$/, `must be a whole number from 1 to ${largestPage}`),
    v.description(`How many at most, 1 to ${largestPage}; ${usualPage} when absent.`),
    v.transform(Number),
    v.maxValue(largestPage, `must be a whole number from 1 to ${largestPage}`),
  ),
);

/** Where the page before ended, as its answer said; it means something to the master alone. */
const cursor = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9_-]{1,1024}$/, 'must be a nextCursor that this list has answered'),
    v.description('The nextCursor of the page before.'),
  ),
);

function flagOf(description: string) {
  return v.pipe(
    v.picklist(['true', 'false']),
    v.description(description),
    v.transform((text) => text === 'true'),
  );
}

const search = v.pipe(
  v.string(),
  v.minLength(1, 'must have at least one character'),
  v.maxLength(100, 'must have at most 100 characters'),
  v.description('Part of an e-mail address or, of devices, a name or tunnel address; letters a to z in any case.'),
);

/** The orders of a list: each of `columns` upwards, and downwards with a minus before it. */
function sortBy<const C extends string>(...columns: [C, ...C[]]) {
  const orders = columns.flatMap((column): (C | `-${C}`)[] => [column, `-${column}`]);
  return v.optional(
    v.pipe(
      v.picklist(orders, `must be one of ${orders.join(', ')}`),
      v.description(`The order, downwards with a minus; ${columns[0]} when absent.`),
    ),
  );
}

export const UserList = v.strictObject({
  limit,
  cursor,
  sort: sortBy('email', 'createdAt'),
  role: v.optional(Name),
  permission: v.optional(Permission),
  disabled: v.optional(flagOf('Only those who are disabled, or are not.')),
  q: v.optional(search),
});
export type UserList = v.InferOutput<typeof UserList>;

export const DeviceList = v.strictObject({
  limit,
  cursor,
  sort: sortBy('createdAt', 'name', 'email', 'address'),
  userId: v.optional(Id),
  email: v.optional(Email),
  platform: v.optional(Platform),
  kind: v.optional(DeviceKind),
  online: v.optional(flagOf('With a handshake in the last three minutes, or without.')),
  node: v.optional(v.pipe(Name, v.description('With `online`: by this node.'))),
  q: v.optional(search),
});
export type DeviceList = v.InferOutput<typeof DeviceList>;

const codeSort = sortBy('createdAt', 'expiresAt');

export const UserCodeList = v.strictObject({ limit, cursor, sort: codeSort, state: v.optional(CodeState) });
export const CodeList = v.strictObject({ ...UserCodeList.entries, userId: v.optional(Id) });
export type CodeList = v.InferOutput<typeof CodeList>;

export const NodeList = v.strictObject({ limit, cursor, sort: sortBy('name', 'priority') });
export type NodeList = v.InferOutput<typeof NodeList>;

export const NodeCodeList = v.strictObject({
  limit,
  cursor,
  sort: codeSort,
  name: v.optional(Name),
  state: v.optional(NodeCodeState),
});
export type NodeCodeList = v.InferOutput<typeof NodeCodeList>;

export const OutageList = v.strictObject({
  limit,
  cursor,
  sort: v.optional(
    v.pipe(
      v.picklist(['-id', 'id'], 'must be id or -id'),
      v.description('As they came in; newest first (-id) when absent.'),
    ),
  ),
  node: v.optional(v.pipe(Name, v.description('Those that left this node, or came to it.'))),
  deviceId: v.optional(Id),
  cause: v.optional(SwitchCause),
  since: v.optional(v.pipe(Moment, v.description('From this moment on.'))),
  until: v.optional(v.pipe(Moment, v.description('Before this moment.'))),
});
export type OutageList = v.InferOutput<typeof OutageList>;

export const TokenList = v.strictObject({ limit, cursor, sort: sortBy('createdAt', 'name'), userId: v.optional(Id) });
export type TokenList = v.InferOutput<typeof TokenList>;

export const WebhookList = v.strictObject({ limit, cursor, sort: sortBy('createdAt', 'name') });
export type WebhookList = v.InferOutput<typeof WebhookList>;

export const DeliveryList = v.strictObject({
  limit,
  cursor,
  sort: v.optional(
    v.pipe(
      v.picklist(['-createdAt', 'createdAt'], 'must be createdAt or -createdAt'),
      v.description('Newest first (-createdAt) when absent.'),
    ),
  ),
  state: v.optional(Delivery.entries.state),
});
export type DeliveryList = v.InferOutput<typeof DeliveryList>;

const auditFilters = {
  actor: v.optional(
    v.pipe(named(), v.description('Who did it, such as `user ana@example.com`, `device ID`, `node NAME` or `master`.')),
  ),
  token: v.optional(v.pipe(Id, v.description('The API token it was done with.'))),
  act: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[a-z][a-z.-]{0,63}$/, 'must be an act such as device.revoke, or a family of them such as device'),
      v.description('What was done, such as `device.revoke`, or a family such as `device`.'),
    ),
  ),
  subject: v.optional(v.pipe(named(), v.description('The id or name of what it was done to.'))),
  since: v.optional(v.pipe(Moment, v.description('From this moment on.'))),
  until: v.optional(v.pipe(Moment, v.description('Before this moment.'))),
};

function named() {
  return v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(400, 'is longer than any name'));
}

export const AuditList = v.strictObject({
  limit,
  cursor,
  sort: v.optional(
    v.pipe(v.picklist(['-at', 'at'], 'must be at or -at'), v.description('Newest first (-at) when absent.')),
  ),
  ...auditFilters,
});
export type AuditList = v.InferOutput<typeof AuditList>;
export type AuditFilters = Omit<AuditList, 'limit' | 'cursor' | 'sort'>;

export const AuditExport = v.strictObject({
  format: v.optional(
    v.pipe(v.picklist(['ndjson', 'csv']), v.description('ndjson, one JSON value a line, when absent.')),
  ),
  ...auditFilters,
});

export const PolicyRevisionList = v.strictObject({
  limit,
  cursor,
  sort: v.optional(
    v.pipe(
      v.picklist(['-revision', 'revision'], 'must be one of -revision, revision'),
      v.description('The order, downwards with a minus; -revision when absent.'),
    ),
  ),
});
export type PolicyRevisionList = v.InferOutput<typeof PolicyRevisionList>;

/** One page. `nextCursor` asks for the next and is null on the last; `total` counts all that the filters let through. */
export function pageOf<T extends v.GenericSchema>(item: T) {
  return v.object({ items: v.array(item), nextCursor: v.nullable(v.string()), total: Count });
}
export type PageOf<T> = { items: T[]; nextCursor: string | null; total: number };
