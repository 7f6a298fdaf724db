import type { Diagnostic } from '#contract/diagnostic.ts';
import type { PolicyDiff } from '#contract/policy-admin.ts';
import { hasErrors } from '#policies/language/diagnostic.ts';
import type { Port, Subject, Target } from '#policies/language/statement.ts';
import { ownPortsOf } from '../decisions/own-ports.ts';
import { inUse } from '../decisions/policy-resources.ts';
import type { FailureLog } from '../http/errors.ts';
import { granted, Refusal } from '../http/refusal.ts';
import { allFronts } from '../store/fronts.ts';
import { rosterNodes } from '../store/nodes.ts';
import type { Store } from '../store/open.ts';
import { policyInForce, textOfLines } from '../store/policies.ts';
import { endGrants, Outdated, type Prepared } from '../store/policy-changes.ts';
import { readSettings } from '../store/settings.ts';
import { lookAround, type Surroundings } from '../store/surroundings.ts';
import type { Around, Edit, Placed, Work } from './work.ts';
import { type Fresh, WorkFailed, type Workshop } from './workshop.ts';

export type PolicyDesk = ReturnType<typeof policyDeskOf>;

/** A document that is right, and what comes with it. */
export type Draft = { readonly prepared: Prepared; readonly warnings: Diagnostic[]; readonly diff: PolicyDiff };

/** More of them would take megabytes, and nobody reads on. */
const mostDiagnostics = 10_000;
const mostAttempts = 5;

/** Where documents are judged before they are put in force, and asked about: see `api/README.md`. */
export function policyDeskOf(parts: { store: Store; workshop: Workshop; now: () => Date; log: FailureLog }) {
  const { store, workshop, now, log } = parts;
  let last: Promise<unknown> = Promise.resolve();

  const ask = async <K extends keyof Work>(
    kind: K,
    question: Parameters<Work[K]>[0],
  ): Promise<Fresh<ReturnType<Work[K]>>> => {
    try {
      return await workshop.ask(kind, question);
    } catch (error) {
      if (!(error instanceof WorkFailed)) throw error;
      log.error({ err: error }, 'a policy could not be looked at');
      throw tryAgain('The policy could not be looked at, and nothing was changed. Send the request again.');
    }
  };

  const around = ({ pool, publicUrl, api, users, devices, nodes }: Surroundings): Around => ({
    pool,
    api,
    users,
    devices,
    nodes,
    ownPorts: ownPortsOf(nodes, publicUrl, api),
    now: now().getTime(),
  });

  const inForce = (): Placed => ({ document: policyInForce(store).document, fronts: allFronts(store) });

  const look = () => around(lookAround(store, { people: [], fronted: [] }));

  const judge = async (document: string, before: Placed | null) => {
    const { publicUrl, api } = readSettings(store);
    const outline = await ask('read', { document, ownPorts: ownPortsOf(rosterNodes(store), publicUrl, api) });
    const fronted = outline.services.filter(({ front }) => front !== null).map(({ name }) => name);
    const seen = lookAround(store, { people: outline.people, fronted });
    const { fronts } = seen;
    if (fronts === undefined)
      throw new Refusal('pool-exhausted', 'There are not enough free addresses for the fronts of this document.');
    const from = around(seen);
    const judgement = await ask('judge', { before, after: { document, fronts }, around: from });
    return { outline, seen, fronts, judgement, at: new Date(from.now) };
  };

  return {
    /**
     * Changes of the policy come one after the other, so that each is made of what the one before left. `act` prepares
     * and puts in force; it is called again where the roster changed in between.
     */
    exclusively<T>(act: () => Promise<T>): Promise<T> {
      const turn = last.then(async () => {
        for (let attempt = 1; attempt <= mostAttempts; attempt++) {
          try {
            return await act();
          } catch (error) {
            if (!(error instanceof Outdated)) throw error;
          }
        }
        throw tryAgain('Nodes or users of the policy changed all the while. Send the request again.');
      });
      last = turn.catch(() => {});
      return turn;
    },

    /** Judges a document that is to take the place of the one in force. @throws Refusal with all that is wrong with it */
    async prepare(document: string): Promise<Draft> {
      endGrants(store, now());
      const { outline, seen, fronts, judgement, at } = await judge(document, inForce());
      const { diagnostics, diff, bundles } = judgement;
      if (hasErrors(diagnostics)) throw refused(diagnostics);
      const { premise, devices } = seen;
      return {
        prepared: { document, outline, fronts, bundles, seen: devices, premise, at },
        warnings: diagnostics,
        diff,
      };
    },

    /** Prepares the document in force with a change of its lines. @throws Refusal */
    async prepareEdit(edit: Edit): Promise<Draft & { lines: readonly number[] }> {
      const { document } = policyInForce(store);
      const edited = await ask('edit', { document, edit });
      if (edited.ok) return { ...(await this.prepare(edited.source)), lines: edited.at };
      switch (edited.reason) {
        case 'unreadable':
          throw refused(edited.diagnostics);
        case 'exists':
          throw existing(textOfLines(store, edited.lines));
        case 'unknown':
          throw new Refusal('not-found', 'No line of the policy says this.');
        case 'in-use':
          return granted(inUse(textOfLines(store, edited.lines)));
      }
    },

    /** All that is wrong with a document, or worth knowing, if it were put in force now. */
    async check(document: string): Promise<Diagnostic[]> {
      return (await judge(document, null)).judgement.diagnostics.slice(0, mostDiagnostics);
    },

    /** What a document would give and take. @throws Refusal when it could not be put in force */
    async compare(document: string): Promise<PolicyDiff> {
      const { judgement } = await judge(document, inForce());
      if (hasErrors(judgement.diagnostics)) throw refused(judgement.diagnostics);
      return judgement.diff;
    },

    /** The same of an earlier document, which need not be right any more. */
    async compareEarlier(document: string): Promise<PolicyDiff> {
      const before = inForce();
      return ask('diff', { before, after: { ...before, document }, around: look() });
    },

    explain(question: { subject: Subject; target: Target; port?: Port }) {
      return ask('explain', { placed: inForce(), around: look(), ...question });
    },

    format: (document: string) => ask('format', { document }),

    effective: () => ask('effective', { placed: inForce(), around: look() }),
  };
}

function refused(diagnostics: readonly Diagnostic[]): Refusal {
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  const told = diagnostics.slice(0, mostDiagnostics);
  const all = told.length < diagnostics.length ? `; the first ${told.length} places are told` : '';
  const detail = `The policy in force stays as it is. ${errors === 1 ? 'One thing is' : `${errors} things are`} wrong${all}.`;
  return new Refusal('policy-refused', detail, undefined, {}, { diagnostics: told });
}

function existing(lines: { line: number; text: string }[]): Refusal {
  const detail = `Line ${lines.map(({ line }) => line).join(', ')} of the policy has it already.`;
  return new Refusal('already-exists', detail, undefined, {}, { lines });
}

function tryAgain(detail: string): Refusal {
  return new Refusal('not-ready', detail, undefined, { 'retry-after': '1' });
}
