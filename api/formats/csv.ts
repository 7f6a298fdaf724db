/**
 * One line of CSV (RFC 4180). A cell that a spreadsheet would take for a formula is made text by an apostrophe before it:
 * names come from users, and a formula in one of them would run at whoever opens the file.
 */
export function csvLine(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => `"${inert(String(cell)).replaceAll('"', '""')}"`).join(',')}\r\n`;
}

function inert(cell: string): string {
  return /^[\s\p{C}]*[=+\-@|%＝＋－＠]|^[\t\r\n]/u.test(cell) ? `'${cell}` : cell;
}
