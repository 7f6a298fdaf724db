import * as v from 'valibot';
import { type PageOf, usualPage } from '#contract/lists.ts';
import type { Asked, Mark, Page } from '../store/listing.ts';
import { Refusal } from './refusal.ts';

/** The parameters that every list takes. */
type Query<Sort extends string> = { limit?: number | undefined; cursor?: string | undefined; sort?: Sort | undefined };
type Context<Sort extends string> = {
  query: Query<Sort>;
  request: Request;
  set: { headers: Record<string, string | number> };
};

const MarkIn = v.strictTuple([v.string(), v.union([v.string(), v.number()]), v.string()]);

/** Answers one page, and says where the next one is: in the body, and as a link that can be followed as it is (RFC 8288). */
export function paged<Sort extends string, Row>(
  { query, request, set }: Context<Sort>,
  usualSort: Sort,
  read: (asked: Asked<Sort>) => Page<Row>,
): PageOf<Row> {
  const sort = query.sort ?? usualSort;
  const after = query.cursor === undefined ? undefined : markIn(query.cursor, sort);
  const { rows, total, next } = read({
    sort,
    limit: query.limit ?? usualPage,
    ...(after === undefined ? {} : { after }),
  });
  const nextCursor = next === undefined ? null : cursorOf(next, sort);
  if (nextCursor !== null) set.headers.link = `<${withCursor(request.url, nextCursor)}>; rel="next"`;
  return { items: rows, nextCursor, total };
}

function cursorOf({ at, id }: Mark, sort: string): string {
  return Buffer.from(JSON.stringify([sort, at, id])).toString('base64url');
}

/** A cursor holds nothing that its bearer may not see, and is used as a value alone: one made by hand opens nothing. */
function markIn(cursor: string, sort: string): Mark {
  const [order, at, id] = v.parse(v.fallback(MarkIn, ['', '', '']), json(cursor));
  if (order === sort) return { at, id };
  const message = order === '' ? 'is not a nextCursor of this API' : 'belongs to another sort; begin again without it';
  throw new Refusal('invalid-input', undefined, [{ path: 'cursor', message }]);
}

function json(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Relative to the host that was asked, by whichever name. */
function withCursor(url: string, cursor: string): string {
  const { pathname, searchParams } = new URL(url);
  searchParams.set('cursor', cursor);
  return `${pathname}?${searchParams}`;
}
