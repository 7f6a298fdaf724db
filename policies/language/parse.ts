import type { Diagnostic } from '#contract/diagnostic.ts';
import { errorAt } from './diagnostic.ts';
import { lexLine, maxDocumentCharacters, splitLines, type Token } from './lex.ts';
import { LineReader } from './line-reader.ts';
import { readStatement } from './read-statement.ts';
import type { Document, Line } from './statement.ts';
import { closestKeyword } from './words.ts';

export interface Parsed {
  readonly document: Document;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads a document line by line. A line that cannot be read is kept as it was written and reported; the others are
 * read all the same. Names are not looked up here: that is `check.ts`.
 */
export function parse(source: string): Parsed {
  if (source.length > maxDocumentCharacters) {
    const message = `this document has ${source.length} characters; a policy has at most ${maxDocumentCharacters}`;
    const diagnostics = [errorAt({ line: 1, column: 1, length: 1 }, 'document-too-long', message)];
    return { document: { lines: [] }, diagnostics };
  }
  const diagnostics: Diagnostic[] = [];
  const lines = splitLines(source).map((text, index) => {
    const { line, found } = parseLine(text, index + 1);
    diagnostics.push(...found);
    return line;
  });
  return { document: { lines }, diagnostics };
}

/** Reads one line as line `number` of a document. */
export function parseLine(text: string, number: number): { line: Line; found: readonly Diagnostic[] } {
  const { tokens, comment, diagnostics } = lexLine(text, number);
  const base = { number, text, ...(comment === undefined ? {} : { comment }) };
  const [first] = tokens;
  if (diagnostics.length > 0) return { line: { ...base, broken: true, ...declared(tokens) }, found: diagnostics };
  if (first === undefined) return { line: base, found: [] };

  const reader = new LineReader(tokens, number, text.length);
  const statement = readStatement(reader, number);
  if (statement === 'no-keyword') {
    const message = `a line begins with role, network, service, allow, vpn-only or test, not with \`${first.text}\``;
    const found = [errorAt(first, 'no-statement', message, closestKeyword(first.text))];
    return { line: { ...base, broken: true, ...declared(tokens) }, found };
  }
  if (statement === undefined || !reader.sound) {
    const partial = statement?.kind === 'allow' ? { partial: statement } : {};
    return { line: { ...base, broken: true, ...declared(tokens), ...partial }, found: reader.diagnostics };
  }
  return { line: { ...base, statement }, found: [] };
}

function declared([keyword, name]: readonly Token[]): Pick<Line, 'declares'> {
  const kind = keyword === undefined ? undefined : (closestKeyword(keyword.text) ?? keyword.text);
  if ((kind !== 'role' && kind !== 'network' && kind !== 'service') || name?.kind !== 'word') return {};
  return { declares: { kind, name: name.text } };
}
