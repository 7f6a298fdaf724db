import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { type AuditRow, AuditVerdict, AuditRow as Row } from '#contract/audit.ts';
import { pageOf } from '#contract/lists.ts';
import { Email } from '#contract/name.ts';
import { readCount } from './count.ts';
import { type Column, inert, showList, showOne } from './screen.ts';
import { exitCodes, type Session } from './session.ts';

const columns: Column<AuditRow>[] = [
  { title: 'ID', of: ({ id }) => String(id) },
  { title: 'AT', of: ({ at }) => at },
  // With which token it was done is told by --json: the id is longer than all the rest.
  { title: 'WHO', of: ({ actor }) => inert(actor.replace(/ token [0-9a-f-]{36}$/, '')) },
  { title: 'WHAT', of: ({ act }) => act },
  { title: 'WHOM', of: ({ subject }) => inert(subject) },
  { title: 'DETAIL', of: ({ detail }) => inert(detailOf(detail)) },
];

type Filters = { actor?: string; token?: string; act?: string; subject?: string; since?: string; until?: string };

export function addAuditCommands(program: Command, session: Session): void {
  const audit = program.command('audit').description('who did what, in a log that only grows');

  withFilters(audit.command('list'))
    .description('show the newest acts')
    .option('--limit <count>', 'how many', readCount, 50)
    .addHelpText(
      'after',
      `
Examples:
  postern audit list --actor ana@example.com --since 2026-12-01T00:00:00Z
  postern audit list --act device --limit 20`,
    )
    .action(({ limit, ...filters }: Filters & { limit: number }) =>
      session(async (master, screen) => {
        const path = `/v1/audit?${new URLSearchParams({ ...wanted(filters), limit: String(limit) })}`;
        const { items } = await master.call(pageOf(Row), 'GET', path);
        showList(screen, items, columns, 'Nothing is in the log that fits.');
      }),
    );

  withFilters(audit.command('export'))
    .description('write the whole log, oldest first')
    .addOption(
      new Option('--format <format>', 'lines of JSON, or a table').choices(['ndjson', 'csv']).default('ndjson'),
    )
    .option('--save <file>', 'write it there, readable by you alone, instead of showing it')
    .addHelpText('after', '\nExample:\n  postern audit export --format csv --save audit.csv')
    .action(({ format, save, ...filters }: Filters & { format: string; save?: string }) =>
      session(async (master) => {
        const path = `/v1/audit/export?${new URLSearchParams({ ...wanted(filters), format })}`;
        const to = save === undefined ? process.stdout : createWriteStream(save, { flags: 'wx', mode: 0o600 });
        if (save !== undefined) await once(to, 'open');
        await master.download(path, async (part) => {
          if (!to.write(part)) await once(to, 'drain');
        });
        if (save === undefined) return;
        to.end();
        await once(to, 'finish');
      }),
    );

  audit
    .command('verify')
    .description('check that no row was changed, removed or put in between; ends with 1 if one was')
    .option('--head <hash>', 'a head that you kept: shows also what was cut off at the end')
    .addHelpText('after', '\nExample:\n  postern audit verify --head 7d793037a076…')
    .action(({ head }: { head?: string }) =>
      session(async (master, screen) => {
        const path = `/v1/audit/verify${head === undefined ? '' : `?${new URLSearchParams({ head })}`}`;
        const verdict = await master.call(AuditVerdict, 'GET', path);
        showOne(screen, verdict, describeVerdict(verdict, head));
        if (!verdict.ok) process.exitCode = exitCodes.failure;
      }),
    );
}

/** What was found, and what to do next. */
export function describeVerdict({ rows, head, firstBroken, known }: AuditVerdict, kept: string | undefined): string {
  if (firstBroken !== null)
    return `The log is not what was written: row ${firstBroken} or one before it was changed or removed. Rows up to ${firstBroken - 1} hold.`;
  if (kept !== undefined && known === null)
    return `All ${rows} rows fit together, but the head that you kept is not among them: rows were cut off or written anew.`;
  const since =
    known === null ? '' : `\nThe head that you kept is row ${known.id} of ${known.at}; ${known.rowsSince} came since.`;
  return `All ${rows} rows are as they were written.${since}\nKeep this head elsewhere, to find out later whether rows were cut off:\n\n  ${head}`;
}

function withFilters(command: Command): Command {
  return command
    .option('--actor <who>', 'a user by e-mail address, or such as "device ID", "node n1" or master')
    .option('--token <id>', 'the API token it was done with')
    .option('--act <what>', 'such as device.revoke, or device for all of these')
    .option('--subject <whom>', 'the id or name of what it was done to')
    .option('--since <moment>', 'such as 2026-12-01T08:00:00Z')
    .option('--until <moment>', 'before this moment');
}

/** People are named by their e-mail address alone. */
function wanted({ actor, ...filters }: Filters): Record<string, string> {
  const who = actor !== undefined && v.is(Email, actor as unknown) ? `user ${actor.toLowerCase()}` : actor;
  return { ...filters, ...(who === undefined ? {} : { actor: who }) };
}

function detailOf(detail: AuditRow['detail']): string {
  const text = Object.entries(detail).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return text.join(' ');
}
