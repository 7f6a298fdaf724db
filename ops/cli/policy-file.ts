import { readFileSync } from 'node:fs';
import { renderDiagnostics } from '#contract/diagnostic.ts';
import { Refused } from './master.ts';

/** A document and the name people know it by. */
export type PolicyFile = { readonly name: string; readonly document: string };

/** Reads a document from a file, or with `-` from standard input. */
export async function readPolicyFile(path: string): Promise<PolicyFile> {
  if (path === '-') return { name: 'standard input', document: await Bun.stdin.text() };
  try {
    return { name: path, document: readFileSync(path, 'utf8') };
  } catch (cause) {
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new Error(isAbsent ? `There is no file ${path}.` : `${path} cannot be read.`, { cause });
  }
}

/** Runs what judges a document; a refusal then shows the places of it that are wrong. */
export async function judging<T>({ name, document }: PolicyFile, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.diagnostics === undefined) throw error;
    throw new Refused(error.problem, renderDiagnostics(document, error.problem.diagnostics, name));
  }
}
