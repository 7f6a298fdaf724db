import * as v from 'valibot';
import type { Lab } from './lab.ts';

export type StepResult = { name: string; passed: boolean; ms: number; detail?: string };

/** What a step does; `note` says what it saw, for the report. */
export type StepBody<Value> = (note: (detail: string) => void) => Promise<Value>;

/** What a scenario writes down as it goes. */
export type Context = {
  lab: Lab;
  /** Once through, where the long form repeats. */
  short: boolean;
  /** Something later steps build on: when it fails the scenario ends. */
  step<Value>(name: string, body: StepBody<Value>): Promise<Value>;
  /** Something nothing builds on: when it fails the scenario goes on, and has failed. */
  check(name: string, body: StepBody<unknown>): Promise<void>;
};

/** Numbers by their names, or names within names. */
export type Figures = { readonly [name: string]: number | Figures };

export type Scenario = {
  name: string;
  /** One line. */
  description: string;
  /** The hosts and what lies between them, drawn. */
  topology: string;
  figures: v.GenericSchema<unknown, Figures>;
  run(context: Context): Promise<Figures>;
};

/** `figures` is null when the scenario did not get that far. */
export type Result = { scenario: string; passed: boolean; figures: Figures | null; steps: readonly StepResult[] };

/** Runs a scenario in a lab of its own. The caller closes the lab: it may want to look around first. */
export async function runScenario(
  scenario: Scenario,
  lab: Lab,
  options: { short: boolean; onStep: (step: StepResult) => void },
): Promise<Result> {
  const steps: StepResult[] = [];
  const record = (step: StepResult) => {
    steps.push(step);
    options.onStep(step);
  };
  const attempt = async <Value>(name: string, body: StepBody<Value>): Promise<{ value: Value } | undefined> => {
    const start = performance.now();
    const ms = () => Math.round(performance.now() - start);
    let detail: string | undefined;
    const note = (said: string) => {
      detail = said;
    };
    try {
      const value = await body(note);
      record({ name, passed: true, ms: ms(), ...(detail === undefined ? {} : { detail }) });
      return { value };
    } catch (error) {
      record({ name, passed: false, ms: ms(), detail: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const context: Context = {
    lab,
    short: options.short,
    async step(name, body) {
      const done = await attempt(name, body);
      if (done === undefined) throw new Stopped(name);
      return done.value;
    },
    async check(name, body) {
      await attempt(name, body);
    },
  };

  let figures: Figures | null = null;
  try {
    figures = fitting(scenario, await scenario.run(context));
  } catch (error) {
    if (!(error instanceof Stopped)) {
      record({ name: 'the scenario itself', passed: false, ms: 0, detail: String(error) });
    }
  }
  return { scenario: scenario.name, passed: figures !== null && steps.every((step) => step.passed), figures, steps };
}

/** A step failed that the rest builds on. */
class Stopped extends Error {
  override readonly name = 'Stopped';
}

function fitting(scenario: Scenario, figures: Figures): Figures {
  const parsed = v.safeParse(scenario.figures, figures);
  if (parsed.success) return parsed.output;
  const wrong = parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`).join('; ');
  throw new TypeError(`the figures do not fit their schema: ${wrong}`);
}

/** The middle one; of an even number the lower of the two. */
export function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
  if (middle === undefined) throw new RangeError('the median of nothing');
  return middle;
}

/** Says what was expected when it is not so. */
export function expect(condition: boolean, otherwise: () => string): asserts condition {
  if (!condition) throw new Error(otherwise());
}
