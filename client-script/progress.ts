/** Says on the screen what is going on: `Checking the master … ok`. */
export interface Progress {
  step<T>(doing: string, work: () => Promise<T>, outcome?: (result: T) => string): Promise<T>;
  note(line: string): void;
}

type Screen = { write(text: string): unknown; isTTY?: boolean };

export function progressOn(screen: Screen): Progress {
  const colour = (code: number, text: string) =>
    screen.isTTY && process.env.NO_COLOR === undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    async step(doing, work, outcome = () => '') {
      screen.write(`${doing} … `);
      try {
        const result = await work();
        const more = outcome(result);
        screen.write(`${colour(32, 'ok')}${more === '' ? '' : ` (${more})`}\n`);
        return result;
      } catch (error) {
        screen.write(`${colour(31, 'failed')}\n`);
        throw error;
      }
    },
    note: (line) => void screen.write(`${line}\n`),
  };
}
