import type { Diagnostic } from '#contract/diagnostic.ts';
import { errorAt } from './diagnostic.ts';

/** A document is at most this long, so that reading one is bounded in time and memory. */
export const maxDocumentCharacters = 1_000_000;
export const maxLineCharacters = 1_000;

/** `word` is anything that is not punctuation; whether it is a name, an address or a port is for the parser to say. */
export interface Token {
  readonly kind: 'word' | ',' | '=' | '->';
  readonly text: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

export interface LexedLine {
  readonly tokens: readonly Token[];
  /** With its `#`, without trailing blanks. */
  readonly comment: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** The lines of a document. Line ends of Windows and a byte order mark are accepted and mean nothing. */
export function splitLines(source: string): string[] {
  return source
    .replace(/^\uFEFF+/, '')
    .split('\n')
    .map((line) => line.replace(/\r+$/, ''));
}

/**
 * The tokens of one line. Quotes hold a device's name together: `device:ana@example.com/"Ana's laptop"`; they are part
 * of the word, since what they enclose means nothing without what stands before.
 */
export function lexLine(text: string, line: number): LexedLine {
  if (text.length > maxLineCharacters)
    return refused(
      errorAt(
        { line, column: maxLineCharacters + 1, length: 1 },
        'line-too-long',
        `this line has ${text.length} characters; a line has at most ${maxLineCharacters}. Write several lines, each with some of the names`,
      ),
    );

  const tokens: Token[] = [];
  const diagnostics: Diagnostic[] = [];
  let comment: string | undefined;
  let at = 0;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (character === ' ' || character === '\t') at += 1;
    else if (character === '#') {
      comment = text.slice(at).trimEnd();
      diagnostics.push(...hiddenCharacters(comment, line, at));
      break;
    } else if (character === ',' || character === '=') {
      tokens.push({ kind: character, text: character, line, column: at + 1, length: 1 });
      at += 1;
    } else if (text.startsWith('->', at)) {
      tokens.push({ kind: '->', text: '->', line, column: at + 1, length: 2 });
      at += 2;
    } else {
      const end = endOfWord(text, at);
      const word = text.slice(at, end);
      tokens.push({ kind: 'word', text: word, line, column: at + 1, length: word.length });
      diagnostics.push(...wrongCharacters(word, line, at));
      at = end;
    }
  }
  return { tokens, comment, diagnostics };
}

function endOfWord(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (character === '"') {
      const close = text.indexOf('"', at + 1);
      if (close === -1) return text.length;
      at = close + 1;
    } else if (' \t,=#'.includes(character) || text.startsWith('->', at)) return at;
    else at += 1;
  }
  return at;
}

/** Outside comments and quotes only printable ASCII: a Cyrillic "а" in a role's name would read like the real one. */
function wrongCharacters(word: string, line: number, offset: number): Diagnostic[] {
  const quote = word.indexOf('"');
  if (quote !== -1 && (word.match(/"/g)?.length ?? 0) % 2 === 1)
    return [
      errorAt(
        { line, column: offset + quote + 1, length: 1 },
        'unclosed-quote',
        'this quote is never closed',
        `${word}"`,
      ),
    ];
  const bare = word.replaceAll(/"[^"]*"/g, (quoted) => '"'.repeat(quoted.length));
  const wrong = /[^!-~]/u.exec(bare);
  const place = wrong === null ? undefined : { line, column: offset + wrong.index + 1, length: wrong[0].length };
  if (place === undefined) return hiddenCharacters(word, line, offset);
  return [
    errorAt(
      place,
      'wrong-character',
      `${nameOf(wrong?.[0] ?? '')} cannot stand here; outside comments and quotes a policy is plain ASCII`,
    ),
  ];
}

function hiddenCharacters(text: string, line: number, offset: number): Diagnostic[] {
  const hidden = /[^\P{C}\t]|[\u2028\u2029]/u.exec(text);
  if (hidden === null) return [];
  return [
    errorAt(
      { line, column: offset + hidden.index + 1, length: hidden[0].length },
      'hidden-character',
      `${nameOf(hidden[0])} is invisible or changes how the line reads; remove it`,
    ),
  ];
}

function nameOf(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `"${character}" (U+${code})` : `the character U+${code}`;
}

function refused(diagnostic: Diagnostic): LexedLine {
  return { tokens: [], comment: undefined, diagnostics: [diagnostic] };
}
