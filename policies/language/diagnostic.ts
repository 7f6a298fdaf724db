import type { Diagnostic } from '#contract/diagnostic.ts';

/** Where something stands in a document. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

export function errorAt(place: Place, code: string, message: string, suggestion?: string): Diagnostic {
  return diagnostic('error', place, code, message, suggestion);
}

export function warningAt(place: Place, code: string, message: string, suggestion?: string): Diagnostic {
  return diagnostic('warning', place, code, message, suggestion);
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

/** In the order a person reads the document; errors before warnings of the same place. */
export function inReadingOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort(
    (a, b) => a.line - b.line || a.column - b.column || a.severity.localeCompare(b.severity),
  );
}

function diagnostic(
  severity: Diagnostic['severity'],
  { line, column, length }: Place,
  code: string,
  message: string,
  suggestion?: string,
): Diagnostic {
  return { severity, code, line, column, length, message, ...(suggestion === undefined ? {} : { suggestion }) };
}
