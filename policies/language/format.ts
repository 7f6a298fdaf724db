import { statementCells, writtenStatement } from './format-statement.ts';
import { maxDocumentCharacters, maxLineCharacters } from './lex.ts';
import { parse } from './parse.ts';
import type { Line } from './statement.ts';

/** A cell wider than this does not push the rest of its block to the right. */
const widestAligned = 48;
/** Nor does a line wider than this push the comments of its block. */
const widestCommented = 100;

/**
 * The document in its plain form: one blank between words, and the parts of neighbouring lines of one kind under each
 * other. Comments, blank lines and the order of lines stay; a line that cannot be read stays as it is. Formatting what
 * was formatted changes nothing.
 */
export function format(source: string): string {
  const { document, diagnostics } = parse(source);
  if (diagnostics.some(({ code }) => code === 'document-too-long')) return source;
  const lines: string[] = [];
  for (const block of blocks(document.lines)) lines.push(...formatBlock(block));
  while (lines.length > 1 && lines.at(-1) === '' && lines.at(-2) === '') lines.pop();
  if (lines.at(-1) !== '') lines.push('');
  const text = lines.join('\n');
  return text.length > maxDocumentCharacters ? source : text;
}

/** Runs of lines whose statements are of one kind; any other line stands alone. */
function* blocks(lines: readonly Line[]): Generator<readonly Line[]> {
  let block: Line[] = [];
  for (const line of lines) {
    const kind = line.statement?.kind;
    if (block.length > 0 && (kind === undefined || block[0]?.statement?.kind !== kind)) {
      yield block;
      block = [];
    }
    block.push(line);
  }
  if (block.length > 0) yield block;
}

function formatBlock(block: readonly Line[]): string[] {
  const rows = block.map(({ statement }) => (statement === undefined ? [] : statementCells(statement)));
  const widths: number[] = [];
  for (const cells of rows)
    cells.slice(0, -1).forEach((cell, i) => {
      if (cell.length <= widestAligned) widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  const aligned = rows.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join(' ')
      .trimEnd(),
  );
  const commented = aligned.filter((text, row) => block[row]?.comment !== undefined && text.length <= widestCommented);
  const column = Math.max(0, ...commented.map(({ length }) => length));
  return block.map((line, row) => formatLine(line, aligned[row] ?? '', column));
}

function formatLine({ statement, comment, text, broken }: Line, aligned: string, column: number): string {
  if (statement === undefined) return broken ? text : (comment ?? '');
  const whole = withComment(comment === undefined ? aligned : aligned.padEnd(column), comment);
  if (whole.length <= maxLineCharacters) return whole;
  const plain = withComment(writtenStatement(statement), comment);
  return plain.length <= maxLineCharacters ? plain : text;
}

function withComment(statement: string, comment: string | undefined): string {
  return comment === undefined ? statement : `${statement}  ${comment}`;
}
