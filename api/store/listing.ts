import type { Store } from './open.ts';

/** Where a page ended: the last row's place in the order, and its id where several have the same place. */
export type Mark = { at: string | number; id: string };

/** A page as it is asked for. */
export type Asked<Sort extends string> = { sort: Sort; limit: number; after?: Mark };

/** `next` is where the following page begins; undefined on the last one. */
export type Page<Row> = { rows: Row[]; total: number; next: Mark | undefined };

/** A condition in SQL with its parameters by name; undefined where a filter was not given. */
export type Condition = { sql: string; with?: Record<string, string | number> } | undefined;

type Listing = {
  columns: string;
  /** The table whose rows are listed. The conditions are about it alone, so that counting reads nothing else. */
  table: string;
  /** That table and what else `columns` and the order need; the table alone when absent. */
  from?: string;
  where: readonly Condition[];
  /** The SQL of each order, by its name without the minus. */
  orders: Readonly<Record<string, string>>;
  id: string;
};

/**
 * One page by keyset: it begins behind the last row of the page before, so rows that come and go meanwhile move
 * nothing, and the last page costs what the first does. Every text in `listing` is of our own source.
 */
export function readPage<Row extends object>({ db }: Store, listing: Listing, asked: Asked<string>): Page<Row> {
  const descending = asked.sort.startsWith('-');
  const order = listing.orders[asked.sort.replace(/^-/, '')];
  if (order === undefined) throw new RangeError(`there is no order ${asked.sort}`);
  const { filter, parameters } = sqlOf(listing.where);
  const [beyond, direction] = descending ? ['<', 'DESC'] : ['>', 'ASC'];
  const onwards = { sql: `(${order}, ${listing.id}) ${beyond} ($markAt, $markId)` };
  const here = asked.after === undefined ? filter : sqlOf([...listing.where, onwards]).filter;
  const rows = db
    .query<Row & { mark_at: string | number; mark_id: string }, [Record<string, string | number>]>(
      `SELECT ${listing.columns}, ${order} AS mark_at, ${listing.id} AS mark_id FROM ${listing.from ?? listing.table}
       ${here} ORDER BY ${order} ${direction}, ${listing.id} ${direction} LIMIT $limit`,
    )
    .all({
      ...parameters,
      limit: asked.limit + 1,
      ...(asked.after === undefined ? {} : { markAt: asked.after.at, markId: asked.after.id }),
    });
  const isAll = asked.after === undefined && rows.length <= asked.limit;
  const total = isAll
    ? rows.length
    : db
        .query<{ total: number }, [Record<string, string | number>]>(
          `SELECT count(*) AS total FROM ${listing.table} ${filter}`,
        )
        .get(parameters)?.total;
  const last = rows.length > asked.limit ? rows[asked.limit - 1] : undefined;
  return {
    rows: rows.slice(0, asked.limit),
    total: total ?? 0,
    next: last === undefined ? undefined : { at: last.mark_at, id: last.mark_id },
  };
}

/** The conditions that were given as a WHERE clause, and all their parameters. */
export function sqlOf(conditions: readonly Condition[]): {
  filter: string;
  parameters: Record<string, string | number>;
} {
  const given = conditions.filter((condition) => condition !== undefined);
  return {
    filter: given.length === 0 ? '' : `WHERE ${given.map(({ sql }) => `(${sql})`).join(' AND ')}`,
    parameters: Object.assign({}, ...given.map((condition) => condition.with ?? {})),
  };
}

/** The condition that a column has this value, when one was given. */
export function equal(column: string, name: string, value: string | number | undefined): Condition {
  return value === undefined ? undefined : { sql: `${column} = $${name}`, with: { [name]: value } };
}
