import * as v from 'valibot';
import { Count } from './name.ts';

/** What is wrong, or worth knowing, at one place of a policy. An error refuses the document; a warning does not. */
export const Diagnostic = v.object({
  severity: v.picklist(['error', 'warning']),
  /** Stable, for programs. */
  code: v.pipe(v.string(), v.examples(['unknown-role'])),
  /** From 1. */
  line: Count,
  /** From 1, in UTF-16 units, as editors and `String.slice` count. */
  column: Count,
  length: Count,
  message: v.pipe(v.string(), v.examples(['there is no role devloper; a line `role devloper` would make one'])),
  /** What to write in this place instead. */
  suggestion: v.exactOptional(v.string()),
});
export type Diagnostic = Readonly<v.InferOutput<typeof Diagnostic>>;

/** The most that {@link renderDiagnostics} shows, so that a file of rubbish does not fill a terminal. */
const shownAtMost = 100;

/** The diagnostics as text: place, message, the line, and a caret under what is meant. */
export function renderDiagnostics(source: string, diagnostics: readonly Diagnostic[], fileName = 'policy'): string {
  const lines = source.split('\n');
  const shown = diagnostics.slice(0, shownAtMost).map((one) => renderOne(lines[one.line - 1] ?? '', one, fileName));
  const left = diagnostics.length - shown.length;
  return [...shown, ...(left > 0 ? [`… and ${left} more\n`] : [])].join('\n');
}

/** A wider line is shown in part, around the caret. */
const shownWidth = 120;

function renderOne(rawLine: string, found: Diagnostic, fileName: string): string {
  const line = inert(rawLine);
  const start = Math.max(0, found.column - 1 - shownWidth / 2);
  const excerpt = line.slice(start, start + shownWidth);
  const before = line.slice(start, found.column - 1);
  const carets = Math.max(1, Math.min(found.length, excerpt.length - before.length));
  const number = String(found.line);
  const margin = ' '.repeat(number.length);
  return [
    `${fileName}:${found.line}:${found.column}: ${found.severity}: ${inert(found.message)}`,
    ` ${number} | ${start > 0 ? '…' : ''}${excerpt}`,
    ` ${margin} | ${start > 0 ? ' ' : ''}${before.replaceAll(/[^\t]/g, ' ')}${'^'.repeat(carets)}`,
    ...(found.suggestion === undefined ? [] : [` ${margin} = did you mean \`${inert(found.suggestion)}\`?`]),
    '',
  ].join('\n');
}

/** Control and direction characters would move the cursor or turn the text around: each becomes one visible mark. */
export function inert(text: string): string {
  return text.replaceAll(/[^\P{C}\t]|[\u2028\u2029]/gu, (character) => '\uFFFD'.repeat(character.length));
}
