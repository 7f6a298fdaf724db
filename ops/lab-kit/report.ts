import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Lab } from './lab.ts';
import type { Figures, Result, Scenario, StepResult } from './scenario.ts';

const colours = process.stderr.isTTY && process.env.NO_COLOR === undefined;
const paint = (code: number, text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
export const green = (text: string) => paint(32, text);
export const red = (text: string) => paint(31, text);
export const dim = (text: string) => paint(2, text);
export const bold = (text: string) => paint(1, text);

/** What a terminal showed, with its colours only where we may use them too. */
export function asPainted(screen: string): string {
  const plain = screen.replaceAll('\r', '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one.
  return colours ? plain : plain.replaceAll(/\x1b\[[\d;]*m/g, '');
}

/** Everything for people goes to stderr: stdout is for the one line that programs read. */
export function tell(text = ''): void {
  process.stderr.write(`${text}\n`);
}

export function tellScenario({ name, description, topology }: Scenario): void {
  tell(`${bold(name)}  ${description}`);
  tell(dim(topology.replace(/^\n|\n\s*$/g, '').replace(/^/gm, '  ')));
  tell();
}

export function tellStep({ name, passed, ms, detail }: StepResult): void {
  const said = detail === undefined ? '' : `  ${dim(asPainted(detail).replaceAll('\n', '\n      '))}`;
  tell(`  ${passed ? green('ok  ') : red('FAIL')} ${name} ${dim(`${ms} ms`)}${said}`);
}

export function tellResult({ passed, figures, steps }: Result): void {
  tell();
  for (const [name, value] of flat(figures ?? {})) tell(`  ${name.padEnd(28)} ${value}`);
  const failed = steps.filter((step) => !step.passed).length;
  tell(`\n  ${passed ? green('passed') : red('failed')}: ${steps.length - failed} passed, ${failed} failed`);
}

function flat(figures: Figures, around = ''): [string, number][] {
  return Object.entries(figures).flatMap(([name, value]) =>
    typeof value === 'number' ? [[`${around}${name}`, value]] : flat(value, `${around}${name}.`),
  );
}

/** The end of each program's output, when something went wrong. */
export function tellLogs(lab: Lab): void {
  tell(`\n  The programs' outputs are in ${lab.logs}`);
  for (const file of globSync(join(lab.logs, '*.log')).filter(existsSync)) {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8);
    tell(`  ${bold(basename(file))}\n${dim(lines.join('\n').replace(/^/gm, '    '))}`);
  }
}
