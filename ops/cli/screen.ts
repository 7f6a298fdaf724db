/** How results come out: a table for people, one JSON value for scripts. */
export type Screen = { json: boolean; isColoured: boolean; write: (text: string) => void };

export type Column<Row> = { title: string; of: (row: Row) => string };

/** Left-aligned columns, two spaces apart, as wide as what they hold. */
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], isColoured = false): string {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)));
  const widths = columns.map(({ title }, index) =>
    Math.max(...[title, ...cells.map((row) => row[index] ?? '')].map((cell) => Bun.stringWidth(cell))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - Bun.stringWidth(cell))))
      .join('  ')
      .trimEnd();
  const head = line(columns.map(({ title }) => title));
  return [isColoured ? `\x1b[2m${head}\x1b[0m` : head, ...cells.map(line)].join('\n');
}

export function showList<Row>(
  screen: Screen,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  whenEmpty: string,
): void {
  if (screen.json) screen.write(JSON.stringify(rows));
  else screen.write(rows.length === 0 ? whenEmpty : renderTable(rows, columns, screen.isColoured));
}

/** One thing, its properties below one another. */
export function showDetails<Row>(screen: Screen, row: Row, columns: readonly Column<Row>[]): void {
  const width = Math.max(...columns.map(({ title }) => title.length));
  const lines = columns.map(({ title, of }) => `${title.padEnd(width)}  ${of(row)}`);
  showOne(screen, row, lines.join('\n'));
}

/** Text of others on a screen: what would move the cursor, hide or turn letters around is written out. */
export function inert(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`);
}

export function showOne(screen: Screen, value: unknown, text: string): void {
  screen.write(screen.json ? JSON.stringify(value ?? null) : text);
}

/** "3 min ago", or "never". */
export function ago(moment: string | null, now: Date): string {
  if (moment === null) return 'never';
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(moment)) / 1000));
  return `${span(seconds)} ago`;
}

/** "in 3 min". */
export function ahead(moment: string, now: Date): string {
  const seconds = Math.max(0, Math.round((Date.parse(moment) - now.getTime()) / 1000));
  return `in ${span(seconds)}`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
