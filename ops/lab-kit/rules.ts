import * as v from 'valibot';
import type { Firewall } from '#policies/compile/firewall.ts';
import { renderChains, renderSets } from '#policies/compile/render.ts';
import type { Asked } from './asked.ts';
import { LabError } from './command.ts';

/** A program of the kernel's firewall, and what it reads. */
export type Command = { argv: readonly string[]; stdin: string };

export const restore = (stdin: string): Command => ({ argv: ['iptables-restore', '--noflush', '--wait', '5'], stdin });
export const restoreSets = (stdin: string): Command => ({ argv: ['ipset', 'restore'], stdin });

/** Puts a compiled firewall in force on a host that has none: sets before the rules that name them, IPv6 closed first. */
export function loadFirewall(firewall: Firewall, now: number): Command[] {
  return [
    restoreSets(renderSets(firewall.sets, now)),
    { argv: ['ip6tables-restore', '--noflush', '--wait', '5'], stdin: renderFamily(firewall, 6) },
    restore(renderFamily(firewall, 4)),
  ];
}

function renderFamily(firewall: Firewall, family: 4 | 6): string {
  const hooks = firewall.hooks.filter((hook) => hook.family === family && hook.ifPresent === undefined);
  const jumps = hooks.map(({ table, from, to }) => `*${table}\n-I ${from} 1 -j ${to}\nCOMMIT\n`);
  return `${renderChains(firewall, family)}${jumps.join('')}`;
}

/** Takes every rule and set away, whoever made it. */
export const clearFirewall: readonly Command[] = [
  ...['iptables-restore', 'ip6tables-restore'].map((program) => ({
    argv: [program, '--wait', '5'],
    stdin: ['filter', 'nat', 'mangle', 'raw'].map((table) => `*${table}\nCOMMIT\n`).join(''),
  })),
  { argv: ['ipset', 'flush'], stdin: '' },
  { argv: ['sh', '-c', 'until ipset destroy 2>/dev/null; do sleep 0.01; done'], stdin: '' },
];

const Timed = v.union([v.object({ ms: v.number() }), v.object({ problem: v.string() })]);

/** How long the commands take one after the other, in ms. @throws LabError with what the one that failed said. */
export async function timed(stopwatch: Asked, commands: readonly Command[]): Promise<number> {
  const answer = await stopwatch.ask(Timed, commands);
  if ('problem' in answer) throw new LabError(answer.problem);
  return answer.ms;
}
