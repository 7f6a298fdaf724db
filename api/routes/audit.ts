import { Elysia } from 'elysia';
import * as v from 'valibot';
import { AuditHash, AuditRow, AuditVerdict } from '#contract/audit.ts';
import { AuditExport, type AuditFilters, AuditList, pageOf } from '#contract/lists.ts';
import { csvLine } from '../formats/csv.ts';
import { commonHeaders } from '../http/errors.ts';
import { paged } from '../http/paging.ts';
import type { Master } from '../master.ts';
import { lastAuditId, nextAuditRows, pageOfAudit } from '../store/audit.ts';
import type { Store } from '../store/open.ts';
import { verifyAudit } from '../store/verify-audit.ts';
import { adminArea } from './areas.ts';
import { operation, text } from './documentation.ts';

const about = { tag: 'Audit', bearer: 'userToken' } as const;
const rowsAtOnce = 500;

const formats = {
  ndjson: { type: 'application/x-ndjson', head: '', line: (row: AuditRow) => `${JSON.stringify(row)}\n` },
  csv: {
    type: 'text/csv; charset=utf-8; header=present',
    head: csvLine(['id', 'at', 'actor', 'act', 'subject', 'detail', 'hash']),
    line: ({ id, at, actor, act, subject, detail, hash }: AuditRow) =>
      csvLine([id, at, actor, act, subject, JSON.stringify(detail), hash]),
  },
};

export function auditRoutes(master: Master) {
  const { store } = master;
  return new Elysia()
    .use(adminArea(master))
    .get('/v1/audit', (context) => paged(context, '-at', (asked) => pageOfAudit(store, context.query, asked)), {
      query: AuditList,
      response: { 200: pageOf(AuditRow) },
      detail: operation('listAudit', 'Who did what, newest first', { ...about, traits: ['paged'] }),
    })
    .get(
      '/v1/audit/export',
      ({ query: { format, ...filters } }) => {
        const { type, head, line } = formats[format ?? 'ndjson'];
        const disposition = `attachment; filename="audit.${format ?? 'ndjson'}"`;
        return new Response(exported(store, filters, head, line), {
          headers: { ...commonHeaders, 'content-type': type, 'content-disposition': disposition },
        });
      },
      {
        query: AuditExport,
        detail: operation('exportAudit', 'The audit log up to now as one file, oldest first', {
          ...about,
          answer: text('application/x-ndjson', 'One JSON value a line; with format=csv a table (RFC 4180)'),
        }),
      },
    )
    .get('/v1/audit/verify', ({ query }) => verifyAudit(store, query.head), {
      query: v.strictObject({
        head: v.optional(
          v.pipe(AuditHash, v.description('A head of earlier, kept elsewhere, that must still be there.')),
        ),
      }),
      response: { 200: AuditVerdict },
      detail: operation('verifyAudit', 'Whether the audit log is whole and unchanged', about),
    });
}

/** Read as fast as it is taken, and no more of it in memory than that. Rows that come meanwhile are not in it. */
function exported(
  store: Store,
  filters: AuditFilters,
  head: string,
  line: (row: AuditRow) => string,
): ReadableStream<Uint8Array> {
  const last = lastAuditId(store);
  let after = 0;
  return new ReadableStream<Uint8Array>({
    start: (controller) => void (head !== '' && controller.enqueue(Buffer.from(head))),
    pull(controller) {
      const rows = nextAuditRows(store, filters, { after, last, limit: rowsAtOnce });
      after = rows.at(-1)?.id ?? last;
      if (rows.length > 0) controller.enqueue(Buffer.from(rows.map(line).join('')));
      if (rows.length < rowsAtOnce) controller.close();
    },
  });
}
