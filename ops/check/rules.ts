import type { Import } from './imports.ts';

/** Who may import whom. `only` lists all that is allowed, `never` what is not; `why` is what a violation is told. */
export type Rule = { who: RegExp; only?: RegExp; never?: RegExp; why: string };

/** What tests may use anywhere: the runner, what makes their inputs, and what this machine offers. */
const testTools = /^(?:bun|bun:test|fast-check|node:.*)$/;
const outsideWorld =
  /^(?:bun(?::.*)?|node:(?:fs|fs\/promises|net|tls|dgram|http|https|child_process|dns.*|worker_threads))$/;

export const rules: readonly Rule[] = [
  {
    who: /^contract\//,
    only: /^(?:contract\/|valibot$)/,
    why: 'contract is what all programs agree on, so it leans on its schemas alone',
  },
  {
    who: /^policies\//,
    only: /^(?:policies\/|contract\/|valibot$)/,
    why: 'master and agents must come to the same meaning, so it depends on nothing that differs between them',
  },
  {
    who: /^api\//,
    never: /^(?:agent|client-script|ops)\//,
    why: 'programs talk over the contract; each can be replaced or started without the others',
  },
  {
    who: /^agent\//,
    never: /^(?:api|client-script|ops)\//,
    why: 'programs talk over the contract; each can be replaced or started without the others',
  },
  {
    who: /^client-script\//,
    never: /^(?:api|agent|policies|ops)\//,
    why: 'the client is one small file on machines of others: it knows the contract and no policy',
  },
  {
    who: /^ops\//,
    never: /^(?:api|agent|client-script)\//,
    why: 'ops drives the programs by their command lines, as an operator does',
  },
  {
    who: /^ops\/(?!lab-kit\/)/,
    never: /^policies\//,
    why: 'what a policy means is asked of the master; the lab alone holds the meaning against what packets do',
  },
  {
    who: /^ops\/cli\//,
    never: /^ops\/(?!cli\/)/,
    why: 'postern works against a master anywhere, so it needs nothing of the machine it was set up on',
  },
  {
    who: /^ops\/lab-kit\//,
    never: /^ops\/(?!lab-kit\/)/,
    why: 'the lab tries what an operator types; a short cut past a command line would leave it untried',
  },
  {
    who: /./,
    never: /(?:^|\/)main\.ts$/,
    why: 'a main.ts acts when it is loaded; only its own command line starts it',
  },
  {
    who: /^(?!.*\.test\.ts$)[^/]+\/(?:plan|decisions|formats)\//,
    never: /\/(?:system|routes|store|platform)\//,
    why: 'plan, decisions and formats are the pure core: effects call them, never the other way',
  },
  {
    who: /^(?!.*\.test\.ts$)[^/]+\/(?:plan|decisions|formats)\//,
    never: outsideWorld,
    why: 'plan, decisions and formats turn values into values: what they need from the world is a parameter',
  },
  {
    who: /^[^/]+\/(?:system|store|platform)\//,
    never: /\/routes\//,
    why: 'routes translate HTTP for the rest; the rest does not know HTTP',
  },
  {
    who: /^(?!.*\.test\.ts$)client-script\/(?!fixture\/)/,
    never: /^bun(?::.*)?$/,
    why: 'the client also runs on Node',
  },
  {
    who: /^(?!.*\.test\.ts$)(?!api\/store\/)/,
    never: /^bun:sqlite$/,
    why: 'SQL lives in api/store, behind functions named after what is asked',
  },
];

export type Violation = Import & { why: string };

/** Tests, and what only tests need, are told by their names. */
export function isForTests(path: string): boolean {
  return /\.test\.ts$|\/(?:fixtures?|test-kit)\//.test(path);
}

/** The imports that a rule forbids, each with the reason. */
export function violations(imports: readonly Import[], table: readonly Rule[] = rules): Violation[] {
  return imports
    .filter(({ from, to }) => !(isForTests(from) && testTools.test(to)))
    .flatMap((one) => table.filter((rule) => forbids(rule, one)).map(({ why }) => ({ ...one, why })));
}

function forbids({ who, only, never }: Rule, { from, to }: Import): boolean {
  return who.test(from) && ((only !== undefined && !only.test(to)) || never?.test(to) === true);
}
