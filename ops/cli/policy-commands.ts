import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { renderDiagnostics } from '#contract/diagnostic.ts';
import {
  AccessExplanation,
  EffectivePolicy,
  PolicyChanged,
  PolicyCheck,
  PolicyDiff,
  PolicyResource,
  PolicyRevision,
} from '#contract/policy-admin.ts';
import { describeConvergence } from './device-commands.ts';
import { everything } from './find.ts';
import { type Master, Refused } from './master.ts';
import { ago, type Column, inert, type Screen, showList, showOne } from './screen.ts';
import { exitCodes, type Session } from './session.ts';

const revisionColumns: Column<PolicyRevision>[] = [
  { title: 'REVISION', of: ({ revision }) => String(revision) },
  { title: 'WHEN', of: ({ at }) => ago(at, new Date()) },
  { title: 'BY', of: ({ actor }) => inert(actor) },
  { title: 'NOTE', of: ({ note }) => inert(note ?? '') },
];

type ApplyWords = { yes: boolean; note?: string };

export function addPolicyCommands(program: Command, session: Session): void {
  const policy = program.command('policy').description('who may reach what: the document, its tests and its history');

  policy
    .command('show')
    .description('print the document in force')
    .option('--effective', 'say instead what is open to whom now, also what no line says', false)
    .action(({ effective }: { effective: boolean }) =>
      session(async (master, screen) => {
        if (effective) {
          const open = await master.call(EffectivePolicy, 'GET', '/v1/policy/effective');
          return showOne(screen, open, open.words.map(inert).join('\n'));
        }
        const inForce = await readPolicy(master);
        showOne(screen, inForce, inForce.document.trimEnd());
      }),
    );

  policy
    .command('check <file>')
    .description('say all that is wrong with a document, and change nothing')
    .action((file: string) =>
      session(async (master, screen) => {
        const document = readFileSync(file, 'utf8');
        const found = await master.call(PolicyCheck, 'POST', '/v1/policy/check', { document });
        const text = renderDiagnostics(document, found.diagnostics, file);
        showOne(screen, found, found.ok ? `${text}${file} can be put in force.` : text.trimEnd());
        if (!found.ok) process.exitCode = exitCodes.refused;
      }),
    );

  policy
    .command('diff <file>')
    .description('say what a document gives and takes, beside the one in force')
    .action((file: string) =>
      session(async (master, screen) => {
        const document = readFileSync(file, 'utf8');
        const diff = await explaining(document, file, () => compare(master, document));
        showOne(screen, diff, describeDiff(diff));
      }),
    );

  policy
    .command('apply <file>')
    .description('put a document in force, once you have seen what it gives and takes')
    .option('--yes', 'do not ask', false)
    .option('--note <text>', 'why, for the history')
    .addHelpText('after', '\nExample:\n  postern policy apply company.policy --note "GitLab for developers"')
    .action((file: string, words: ApplyWords) =>
      session(async (master, screen) => {
        await apply(master, screen, readFileSync(file, 'utf8'), file, (await readPolicy(master)).revision, words);
      }),
    );

  policy
    .command('edit')
    .description('edit the document in force with $VISUAL or $EDITOR')
    .option('--yes', 'do not ask', false)
    .option('--note <text>', 'why, for the history')
    .action((words: ApplyWords) =>
      session(async (master, screen) => {
        const { document, revision } = await readPolicy(master);
        const folder = mkdtempSync(join(tmpdir(), 'postern-policy-'));
        const file = join(folder, 'policy');
        writeFileSync(file, document, { mode: 0o600 });
        const editor = (process.env.VISUAL ?? process.env.EDITOR ?? 'vi').split(/\s+/).filter(Boolean);
        const edited = Bun.spawnSync([...editor, file], { stdio: ['inherit', 'inherit', 'inherit'] });
        if (edited.exitCode !== 0) throw new Error(`${editor[0]} ended with ${edited.exitCode}; nothing was changed`);
        try {
          await apply(master, screen, readFileSync(file, 'utf8'), file, revision, words);
        } catch (error) {
          process.stderr.write(`Your text is kept in ${file}\n`);
          throw error;
        }
        rmSync(folder, { recursive: true });
      }),
    );

  policy
    .command('explain <subject> <target> [port]')
    .description('say whether somebody may reach something, by which lines, and through which node')
    .addHelpText(
      'after',
      `
Examples:
  postern policy explain ana@example.com gitlab tcp/22
  postern policy explain role:developer internal`,
    )
    .action((subject: string, target: string, port: string | undefined) =>
      session(async (master, screen) => {
        const question = { subject, target, ...(port === undefined ? {} : { port }) };
        const answer = await master.call(AccessExplanation, 'POST', '/v1/policy/explain', question);
        showOne(screen, answer, answer.words.map(inert).join('\n'));
      }),
    );

  policy
    .command('history')
    .description('list every document that was ever in force')
    .action(() =>
      session(async (master, screen) =>
        showList(screen, await everything(master, PolicyRevision, '/v1/policy/revisions'), revisionColumns, 'None.'),
      ),
    );

  policy
    .command('rollback <revision>')
    .description('put an earlier document in force again')
    .option('--yes', 'do not ask', false)
    .option('--note <text>', 'why, for the history')
    .action((word: string, { yes, note }: ApplyWords) =>
      session(async (master, screen) => {
        const revision = Number(word);
        const inForce = await readPolicy(master);
        const diff = await master.call(PolicyDiff, 'POST', '/v1/policy/diff', { revision });
        if (!(await agreed(screen, diff, yes))) return;
        const body = { revision, ...(note === undefined ? {} : { note }) };
        const headers = seen(inForce.revision);
        tell(screen, await master.call(PolicyChanged, 'POST', '/v1/policy/rollback', body, headers));
      }),
    );
}

const readPolicy = (master: Master) => master.call(PolicyResource, 'GET', '/v1/policy');

const compare = (master: Master, document: string) => master.call(PolicyDiff, 'POST', '/v1/policy/diff', { document });

/** The revision a change was made to: who was quicker is not overwritten. */
const seen = (revision: number) => ({ 'if-match': `"policy-${revision}"` });

async function apply(
  master: Master,
  screen: Screen,
  document: string,
  name: string,
  revision: number,
  { yes, note }: ApplyWords,
): Promise<void> {
  const diff = await explaining(document, name, () => compare(master, document));
  if (!(await agreed(screen, diff, yes))) return;
  const body = { document, ...(note === undefined ? {} : { note }) };
  const changed = await explaining(document, name, () =>
    master.call(PolicyChanged, 'PUT', '/v1/policy', body, seen(revision)),
  );
  tell(screen, changed);
}

function tell(screen: Screen, changed: PolicyChanged): void {
  const where = changed.convergence === null ? '' : `, ${describeConvergence(changed.convergence)}`;
  showOne(screen, changed, `The policy is revision ${changed.revision} now${where}.`);
}

/** A refusal of a document is shown where it stands in it. */
async function explaining<T>(document: string, name: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Refused && error.problem.diagnostics !== undefined)
      process.stderr.write(renderDiagnostics(document, error.problem.diagnostics, name));
    throw error;
  }
}

function describeDiff({ words }: PolicyDiff): string {
  return words.length === 0 ? 'Nobody gains or loses anything.' : words.map(inert).join('\n');
}

/** Shows what changes and asks; a script says --yes. */
async function agreed(screen: Screen, diff: PolicyDiff, isGiven: boolean): Promise<boolean> {
  if (isGiven) return true;
  process.stderr.write(`${describeDiff(diff)}\n`);
  if (!process.stdin.isTTY) throw new Error('nobody is there to ask; add --yes to put it in force');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Put it in force? [y/N] ');
  terminal.close();
  if (/^y(es)?$/i.test(answer.trim())) return true;
  showOne(screen, null, 'Nothing was changed.');
  return false;
}
