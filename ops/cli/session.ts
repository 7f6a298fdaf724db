import { ValiError } from 'valibot';
import { inert } from '#contract/diagnostic.ts';
import { Unreachable, Untrusted } from './connection.ts';
import { CredentialProblem } from './credentials.ts';
import { NotFound } from './find.ts';
import { type Master, Refused } from './master.ts';
import type { Screen } from './screen.ts';

/** Runs one command against the master and ends the process with the exit code that says how it went. */
export type Session = (act: (master: Master, screen: Screen) => Promise<void>) => Promise<void>;

/** The same for an act on the files of the master's own machine, whether it runs or not. */
export type LocalSession = (act: (stateDir: string, screen: Screen) => Promise<void>) => Promise<void>;

export const exitCodes = { failure: 1, usage: 2, refused: 3, unreachable: 4, untrusted: 5 } as const;

/** What happened, which value, what to do next; and the exit code. */
export function explain(error: unknown): { lines: string[]; exitCode: number } {
  if (error instanceof Refused) {
    const { title, detail, errors = [], lines: policyLines = [], diagnostics = [], code } = error.problem;
    return {
      lines: [
        `${title}. ${detail ?? ''}`.trim(),
        ...errors.map(({ path, message }) => `  ${path}: ${message}`),
        ...policyLines.map(({ line, text }) => `  line ${line}: ${inert(text)}`),
        ...(error.places === undefined
          ? diagnostics.map(({ line, severity, message }) => `  line ${line}: ${severity}: ${inert(message)}`)
          : ['', ...error.places.trimEnd().split('\n')]),
        `(${code})`,
      ],
      exitCode: exitCodes.refused,
    };
  }
  if (error instanceof NotFound) return { lines: [error.message], exitCode: exitCodes.refused };
  if (error instanceof Unreachable) {
    return {
      lines: [error.message, 'Is it running? ops/up starts it again and finds what is there.'],
      exitCode: exitCodes.unreachable,
    };
  }
  if (error instanceof Untrusted) {
    return {
      lines: [error.message, 'Someone may stand in between, or --url and --root do not belong together.'],
      exitCode: exitCodes.untrusted,
    };
  }
  if (error instanceof CredentialProblem) return { lines: [error.message], exitCode: exitCodes.failure };
  if (error instanceof ValiError) {
    return {
      lines: ['The master answers in a way this version does not know. Use the postern of the same release.'],
      exitCode: exitCodes.failure,
    };
  }
  return { lines: [error instanceof Error ? error.message : String(error)], exitCode: exitCodes.failure };
}
