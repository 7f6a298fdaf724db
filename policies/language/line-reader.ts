import type { Diagnostic } from '#contract/diagnostic.ts';
import type { Read } from './address.ts';
import { errorAt, type Place } from './diagnostic.ts';
import type { Token } from './lex.ts';
import type { At } from './statement.ts';
import { editDistance } from './suggest.ts';

/**
 * Reads the tokens of one line from left to right. A wrong value is reported and reading goes on, so that a line with
 * two wrong addresses has two diagnostics; a wrong shape ends the line, since what follows would be guesswork.
 */
export class LineReader {
  readonly diagnostics: Diagnostic[] = [];
  readonly #tokens: readonly Token[];
  readonly #end: Place;
  #at = 0;
  #lost = false;

  constructor(tokens: readonly Token[], line: number, lineLength: number) {
    this.#tokens = tokens;
    const last = tokens.at(-1);
    this.#end = { line, column: last === undefined ? lineLength + 1 : last.column + last.length, length: 1 };
  }

  /** Whether the line was read to here without an error. */
  get sound(): boolean {
    return this.diagnostics.length === 0;
  }

  get atEnd(): boolean {
    return this.#lost || this.#at >= this.#tokens.length;
  }

  peek(ahead = 0): Token | undefined {
    return this.#lost ? undefined : this.#tokens[this.#at + ahead];
  }

  /** The next word, read as a value; undefined when it is none. `expected` completes "expected …". */
  value<T>(expected: string, read: (word: string) => Read<T>): At<T> | undefined {
    const token = this.peek();
    if (token?.kind !== 'word') return this.#stray(expected);
    this.#at += 1;
    const found = read(token.text);
    if (found.ok) return { value: found.value, line: token.line, column: token.column, length: token.length };
    this.diagnostics.push(errorAt(token, found.code, found.message, found.suggestion));
    return undefined;
  }

  /** One or more values with commas between them. */
  list<T>(item: () => T | undefined): T[] {
    const items: T[] = [];
    do {
      const value = item();
      if (value !== undefined) items.push(value);
    } while (this.skipPunctuation(','));
    return items;
  }

  skipPunctuation(kind: ',' | '=' | '->'): boolean {
    if (this.peek()?.kind !== kind) return false;
    this.#at += 1;
    return true;
  }

  skipWord(word: string): Token | undefined {
    const token = this.peek();
    if (token?.kind !== 'word' || token.text !== word) return undefined;
    this.#at += 1;
    return token;
  }

  expectPunctuation(kind: '=' | '->', after: string): void {
    if (!this.skipPunctuation(kind)) this.#stray(`\`${kind}\` after ${after}`, [kind]);
  }

  expectWord(word: string, after: string): void {
    if (this.skipWord(word) === undefined) this.#stray(`\`${word}\` after ${after}`, [word]);
  }

  /** Nothing may follow. `possible` are the words that could have. */
  expectEnd(possible: readonly string[], expected = 'the end of the line'): void {
    if (!this.atEnd) this.#stray(expected, possible);
  }

  refuse(place: Place, code: string, message: string, suggestion?: string): void {
    this.diagnostics.push(errorAt(place, code, message, suggestion));
  }

  #stray(expected: string, possible: readonly string[] = []): undefined {
    if (this.#lost) return undefined;
    const token = this.peek();
    this.#lost = true;
    const found = token === undefined ? 'the line ends' : `there is \`${token.text}\``;
    const meant =
      token?.kind === 'word'
        ? possible.find((word) => editDistance(word, token.text.toLowerCase()) <= (word.length > 4 ? 2 : 1))
        : undefined;
    this.diagnostics.push(errorAt(token ?? this.#end, 'unexpected', `expected ${expected}, but ${found}`, meant));
    return undefined;
  }
}
