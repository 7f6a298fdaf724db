import { chainNames } from './chain-builder.ts';
import { hooks } from './compile.ts';
import { type Chain, drop, type Firewall, type Rule } from './firewall.ts';

/** The firewall of a node that knows of nothing it may let through: nothing from the tunnel or the mesh, nothing to them. */
export function closedFirewall(node: string, tunnel = 'wg0', mesh = 'wg-mesh'): Firewall {
  const rule = (match: Rule['match']): Rule => ({ match, target: drop, comment: 'postern closed: no snapshot' });
  const chains = ([4, 6] as const).flatMap((family): Chain[] => [
    {
      family,
      table: 'filter',
      name: chainNames.forward,
      rules: [tunnel, mesh].flatMap((device) => [rule({ in: device }), rule({ out: device })]),
    },
    { family, table: 'filter', name: chainNames.input, rules: [rule({ in: tunnel }), rule({ in: mesh })] },
  ]);
  const names = new Set(chains.map(({ name }) => name));
  return { node, revision: 0, sets: [], chains, hooks: hooks.filter(({ to }) => names.has(to)) };
}
