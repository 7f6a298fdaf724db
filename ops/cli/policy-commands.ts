import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { inert, renderDiagnostics } from '#contract/diagnostic.ts';
import { pageOf } from '#contract/lists.ts';
import {
  AccessExplanation,
  EffectivePolicy,
  PolicyCheck,
  PolicyDiff,
  PolicyFormatted,
  PolicyResource,
  PolicyRevision,
  PolicyRevisionText,
} from '#contract/policy-admin.ts';
import { readCount, readRevision } from './count.ts';
import { judging, readPolicyFile } from './policy-file.ts';
import { ago, type Column, showList, showOne } from './screen.ts';
import { exitCodes, type Session } from './session.ts';

const columns: Column<PolicyRevision>[] = [
  { title: 'REVISION', of: ({ revision }) => String(revision) },
  { title: 'SINCE', of: ({ at }) => ago(at, new Date()) },
  { title: 'BY', of: ({ actor }) => inert(actor.replace(/ token [0-9a-f-]{36}$/, '')) },
  { title: 'NOTE', of: ({ note }) => inert(note ?? '') },
];

/** What reads the policy and asks it. @returns the command that what changes it is added to */
export function addPolicyCommands(program: Command, session: Session): Command {
  const policy = program.command('policy').description('who may reach what: one document, with its history');

  policy
    .command('show')
    .description('print the document in force')
    .option('--effective', 'list instead what is open to whom now, also what no line says')
    .option('--revision <number>', 'print an earlier document', readRevision)
    .addHelpText('after', '\nExamples:\n  postern policy show > company.policy\n  postern policy show --effective')
    .action(({ effective, revision }: { effective?: true; revision?: number }) =>
      session(async (master, screen) => {
        if (effective) {
          const found = await master.call(EffectivePolicy, 'GET', '/v1/policy/effective');
          return showOne(screen, found, found.words.map(inert).join('\n'));
        }
        const found =
          revision === undefined
            ? await master.call(PolicyResource, 'GET', '/v1/policy')
            : await master.call(PolicyRevisionText, 'GET', `/v1/policy/revisions/${revision}`);
        showOne(screen, found, found.document.replace(/\n$/, ''));
      }),
    );

  policy
    .command('check <file>')
    .description('say all that is wrong with a document, or worth knowing of it, as if it were put in force now')
    .addHelpText('after', '\nExample:\n  postern policy check company.policy\n\nEnds with 3 when it would be refused.')
    .action((path: string) =>
      session(async (master, screen) => {
        const { name, document } = await readPolicyFile(path);
        const found = await master.call(PolicyCheck, 'POST', '/v1/policy/check', { document });
        const text = renderDiagnostics(document, found.diagnostics, name);
        const verdict = found.ok ? `${name} can be put in force.` : `${name} would be refused.`;
        showOne(screen, found, text === '' ? verdict : `${text}\n${verdict}`);
        if (!found.ok) process.exitCode = exitCodes.refused;
      }),
    );

  policy
    .command('diff <file>')
    .description('say what a document gives and takes, compared with the one in force')
    .addHelpText('after', '\nExample:\n  postern policy diff company.policy')
    .action((path: string) =>
      session(async (master, screen) => {
        const file = await readPolicyFile(path);
        const { document } = file;
        const found = await judging(file, () => master.call(PolicyDiff, 'POST', '/v1/policy/diff', { document }));
        showOne(screen, found, found.words.map(inert).join('\n'));
      }),
    );

  policy
    .command('explain <subject> <target> [port]')
    .description('say whether somebody may reach a place, by which line and through which node')
    .addHelpText(
      'after',
      '\nA subject is everyone, role:NAME, an e-mail address or device:EMAIL/NAME; a target a network, a service, an\n' +
        'address, a subnet, devices or nodes.\n\nExamples:\n  postern policy explain ana@example.com gitlab tcp/22\n' +
        '  postern policy explain role:developer devices',
    )
    .action((subject: string, target: string, port: string | undefined) =>
      session(async (master, screen) => {
        const question = { subject, target, ...(port === undefined ? {} : { port }) };
        const found = await master.call(AccessExplanation, 'POST', '/v1/policy/explain', question);
        showOne(screen, found, found.words.map(inert).join('\n'));
      }),
    );

  policy
    .command('history')
    .description('list the documents that were in force, the newest first')
    .option('--limit <count>', 'how many', readCount, 20)
    .action(({ limit }: { limit: number }) =>
      session(async (master, screen) => {
        const path = `/v1/policy/revisions?limit=${limit}`;
        const { items } = await master.call(pageOf(PolicyRevision), 'GET', path);
        showList(screen, items, columns, 'There are none.');
      }),
    );

  policy
    .command('format <file>')
    .description('print a document in its plain form; comments and order stay')
    .option('--write', 'write it back to the file')
    .addHelpText('after', '\nExample:\n  postern policy format --write company.policy')
    .action((path: string, { write }: { write?: true }) =>
      session(async (master, screen) => {
        const { name, document } = await readPolicyFile(path);
        const found = await master.call(PolicyFormatted, 'POST', '/v1/policy/format', { document });
        if (write !== true || path === '-') return showOne(screen, found, found.document.replace(/\n$/, ''));
        if (found.document !== document) writeFileSync(path, found.document);
        showOne(
          screen,
          found,
          found.document === document ? `${name} is in its plain form.` : `${name} is written anew.`,
        );
      }),
    );

  return policy;
}
