import type { Command } from 'commander';
import { inert, renderDiagnostics } from '#contract/diagnostic.ts';
import { PolicyChanged, PolicyDiff, PolicyResource } from '#contract/policy-admin.ts';
import { readRevision } from './count.ts';
import { describeConvergence } from './device-commands.ts';
import { editText } from './editor.ts';
import { type Master, Refused } from './master.ts';
import { judging, type PolicyFile, readPolicyFile } from './policy-file.ts';
import { confirm } from './prompt.ts';
import { type Screen, showOne } from './screen.ts';
import type { Session } from './session.ts';

type Options = { yes?: true; note?: string };

/** What puts documents in force: whoever does it sees first what that gives and takes. */
export function addPolicyChangeCommands(policy: Command, session: Session): void {
  policy
    .command('apply <file>')
    .description('put a document in force, after showing what it gives and takes')
    .option('--yes', 'do not ask')
    .option('--note <text>', 'why, for those who read the history')
    .addHelpText('after', "\nExample:\n  postern policy apply company.policy --note 'GitLab for developers'")
    .action((path: string, options: Options) =>
      session(async (master, screen) => {
        const file = await readPolicyFile(path);
        await apply(master, screen, await master.call(PolicyResource, 'GET', '/v1/policy'), file, options);
      }),
    );

  policy
    .command('edit')
    .description('edit the document in force, with the editor of VISUAL or EDITOR')
    .option('--note <text>', 'why, for those who read the history')
    .action((options: Options) =>
      session(async (master, screen) => {
        const seen = await master.call(PolicyResource, 'GET', '/v1/policy');
        await editText(seen.document, 'policy', async (document, path) => {
          try {
            return (await apply(master, screen, seen, { name: path, document }, options)) ? 'done' : 'kept';
          } catch (error) {
            if (!(error instanceof Refused) || error.places === undefined) throw error;
            process.stderr.write(`${error.places}\n`);
            return (await confirm('It would be refused. Edit it again?', 'Correct it.')) ? 'again' : 'kept';
          }
        });
      }),
    );

  policy
    .command('rollback')
    .argument('<revision>', 'as `postern policy history` lists them', readRevision)
    .description('put an earlier document in force again, after showing what that gives and takes')
    .option('--yes', 'do not ask')
    .option('--note <text>', 'why, for those who read the history')
    .addHelpText('after', '\nExample:\n  postern policy history\n  postern policy rollback 3')
    .action((revision: number, { yes, note }: Options) =>
      session(async (master, screen) => {
        const seen = await master.call(PolicyResource, 'GET', '/v1/policy');
        const diff = await master.call(PolicyDiff, 'POST', '/v1/policy/diff', { revision });
        if (!(await isWanted(screen, diff, yes))) return;
        const body = { revision, ...(note === undefined ? {} : { note }) };
        const changed = await master.call(PolicyChanged, 'POST', '/v1/policy/rollback', body, ifMatch(seen));
        showChanged(screen, changed);
      }),
    );
}

/** @returns false when whoever was asked did not want it */
async function apply(
  master: Master,
  screen: Screen,
  seen: PolicyResource,
  file: PolicyFile,
  { yes, note }: Options,
): Promise<boolean> {
  const { document } = file;
  if (document === seen.document) {
    showOne(screen, seen, `Nothing is changed: revision ${seen.revision} says this already.`);
    return true;
  }
  const diff = await judging(file, () => master.call(PolicyDiff, 'POST', '/v1/policy/diff', { document }));
  if (!(await isWanted(screen, diff, yes))) return false;
  const body = { document, ...(note === undefined ? {} : { note }) };
  const changed = await judging(file, () => master.call(PolicyChanged, 'PUT', '/v1/policy', body, ifMatch(seen)));
  showChanged(screen, changed, file.name);
  return true;
}

/** Others may have changed it since it was shown. */
function ifMatch({ revision }: PolicyResource): Record<string, string> {
  return { 'if-match': `"policy-${revision}"` };
}

async function isWanted(screen: Screen, diff: PolicyDiff, yes: true | undefined): Promise<boolean> {
  if (!screen.json) screen.write(diff.words.map(inert).join('\n'));
  if (yes) return true;
  const isWanted = await confirm('Put this in force?', 'Look at it with `postern policy diff`, and add --yes.');
  if (!isWanted) process.stderr.write('Nothing was changed.\n');
  return isWanted;
}

function showChanged(screen: Screen, changed: PolicyChanged, name?: string): void {
  const { revision, warnings, document, convergence } = changed;
  if (!screen.json && warnings.length > 0) screen.write(renderDiagnostics(document, warnings, name));
  const where = convergence === null ? '' : `, ${describeConvergence(convergence)}`;
  showOne(screen, changed, `The policy is revision ${revision} now${where}.`);
}
