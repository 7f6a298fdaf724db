/** A set as the kernel has it; `options` is the text after its type, such as `family inet hashsize 1024`. */
export type SavedSet = {
  name: string;
  type: string;
  options: string;
  /** The elements with the seconds they have left; absent for those that stay. */
  elements: ReadonlyMap<string, number | undefined>;
};

/**
 * Reads `ipset save`.
 *
 * @throws SyntaxError on any line it does not know.
 */
export function parseIpsetSave(text: string): readonly SavedSet[] {
  const sets = new Map<string, SavedSet & { elements: Map<string, number | undefined> }>();
  for (const line of text.split('\n').filter((candidate) => candidate !== '')) {
    const [, verb, name = '', rest = ''] = /^(create|add) (\S+) (.+)$/.exec(line) ?? [];
    if (verb === 'create') {
      const [type = '', ...options] = rest.split(' ');
      sets.set(name, { name, type, options: options.join(' '), elements: new Map() });
    } else {
      const set = sets.get(name);
      if (verb !== 'add' || set === undefined) throw new SyntaxError(`ipset save: cannot read "${line}"`);
      const [element = '', option, seconds] = rest.split(' ');
      // Without a timeout, and with one of 0, an element stays.
      set.elements.set(element, option === 'timeout' && seconds !== '0' ? Number(seconds) : undefined);
    }
  }
  return [...sets.values()];
}

export type SetStep =
  /** `definition` is the type with its options. */
  | { kind: 'create-set'; set: string; definition: string }
  | { kind: 'destroy-set'; set: string }
  /** `until` in Unix milliseconds; absent: it stays. Adding what is there gives it this end. */
  | { kind: 'add-element'; set: string; element: string; until?: number }
  | { kind: 'remove-element'; set: string; element: string };

/**
 * For `ipset restore`. Adding what is there and removing what is not are no errors (`-exist`). An end becomes a timeout
 * in whole seconds from `now`, rounded down: `secondsLeft` says how many, or undefined for an element that is over.
 */
export function renderIpsetRestore(
  steps: readonly SetStep[],
  secondsLeft: (until: number) => number | undefined,
): string {
  return steps
    .flatMap((step) => renderStep(step, secondsLeft))
    .map((line) => `${line}\n`)
    .join('');
}

function renderStep(step: SetStep, secondsLeft: (until: number) => number | undefined): string[] {
  switch (step.kind) {
    case 'create-set':
      return [`create ${step.set} ${step.definition} -exist`];
    case 'destroy-set':
      return [`destroy ${step.set}`];
    case 'remove-element':
      return [`del ${step.set} ${step.element} -exist`];
    case 'add-element': {
      if (step.until === undefined) return [`add ${step.set} ${step.element} -exist`];
      const seconds = secondsLeft(step.until);
      return seconds === undefined ? [] : [`add ${step.set} ${step.element} timeout ${seconds} -exist`];
    }
  }
}
